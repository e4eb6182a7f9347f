// What is wrong with a server right now, the worst first: the line that a person reads before any number.
import type { CpuReading, DiskReading, MemoryReading, NetworkReading } from './host'
import { levelOrder, usageLevel } from './levels'
import type { Level } from './levels'

export interface Finding {
  code: 'cpu' | 'memory' | 'swap' | 'filesystem' | 'faults'
  level: Exclude<Level, 'ok'>
  ratio: number | null
  /** The mount point, for a filesystem. */
  subject: string
}

export interface Readings {
  cpu: CpuReading
  memory: MemoryReading
  disk: DiskReading
  network: NetworkReading
}

// Less than one packet in ten seconds is the noise of any network.
const FAULTS_PER_SECOND = 0.1

export function hasFaults(perSecond: number | null): boolean {
  return perSecond !== null && perSecond >= FAULTS_PER_SECOND
}

export function findingsOf({ cpu, memory, disk, network }: Readings): Finding[] {
  const found: Finding[] = []
  const usage = (code: Exclude<Finding['code'], 'faults'>, ratio: number | null, subject = '') => {
    const level = usageLevel(code, ratio)
    if (level !== 'ok') found.push({ code, level, ratio, subject })
  }
  for (const filesystem of disk.filesystems) usage('filesystem', filesystem.usage, filesystem.mountpoint)
  usage('memory', memory.usage)
  usage('cpu', cpu.usage)
  usage('swap', memory.swapUsage)
  if (hasFaults(network.faults)) found.push({ code: 'faults', level: 'warning', ratio: null, subject: '' })
  return found.sort((a, b) => levelOrder(a.level) - levelOrder(b.level))
}
