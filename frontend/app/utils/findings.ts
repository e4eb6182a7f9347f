// What is wrong with a server right now.
import { levelOrder, usageLevel } from './levels'
import type { Level } from './levels'
import type { Readings } from './readings'

export interface Finding {
  code: 'cpu' | 'memory' | 'swap' | 'filesystem' | 'faults'
  level: Exclude<Level, 'ok'>
  ratio: number | null
  /** The mount point of a filesystem; otherwise empty. */
  subject: string
}

// Every network loses a packet now and then: one in ten seconds is normal.
const MIN_FAULTS_PER_SECOND = 0.1

export function hasFaults(perSecond: number | null): boolean {
  return perSecond !== null && perSecond >= MIN_FAULTS_PER_SECOND
}

/** The most serious findings come first. */
export function findingsOf({ cpu, memory, disk, network }: Readings): Finding[] {
  const findings: Finding[] = []
  const addUsage = (code: Exclude<Finding['code'], 'faults'>, ratio: number | null, subject = '') => {
    const level = usageLevel(code, ratio)
    if (level !== 'ok') findings.push({ code, level, ratio, subject })
  }
  for (const filesystem of disk.filesystems) addUsage('filesystem', filesystem.usage, filesystem.mountpoint)
  addUsage('memory', memory.usage)
  addUsage('cpu', cpu.usage)
  addUsage('swap', memory.swapUsage)
  if (hasFaults(network.faults)) findings.push({ code: 'faults', level: 'warning', ratio: null, subject: '' })
  return findings.sort((a, b) => levelOrder(a.level) - levelOrder(b.level))
}
