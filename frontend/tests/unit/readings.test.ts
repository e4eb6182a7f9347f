import { describe, expect, it } from 'vitest'
import { current, servers } from '../answers/metrics'
import type { CurrentMetrics } from '~/api/metrics'
import type { ServerPage } from '~/api/servers'
import { findingsOf } from '~/utils/findings'
import { makeSnapshot, readCpu, readDisk, readMemory, readNetwork, readSnapshot } from '~/utils/readings'
import { usageLevel, worstLevel } from '~/utils/levels'
import { matchServers } from '~/utils/search'
import { trendOf } from '~/utils/trend'

const NOW = Date.UTC(2026, 10, 23, 12)

function snapshotOf(id: number) {
  const { servers: [server] } = current(new URLSearchParams({ server: String(id) }), NOW) as CurrentMetrics
  return makeSnapshot(server!.time_ms, server!.series)
}

describe('readings', () => {
  it('have the usage, the cores in order and the largest modes first', () => {
    const cpu = readCpu(snapshotOf(7))
    expect(cpu.usage).toBeGreaterThan(0)
    expect(cpu.cores.map(({ core }) => core).slice(8, 12)).toEqual(['8', '9', '10', '11'])
    expect(cpu.modes.every(({ mode }) => mode !== 'idle')).toBe(true)
    expect(cpu.modes.map(({ share }) => share)).toEqual(cpu.modes.map(({ share }) => share).sort((a, b) => b - a))
  })
  it('have no swap if the host has none', () => {
    expect(readMemory(snapshotOf(2))).toMatchObject({ swapUsage: null, swapTotal: null })
    expect(readMemory(snapshotOf(1)).swapTotal).toBeGreaterThan(0)
  })
  it('list the fullest filesystem first and add up the disks', () => {
    const disk = readDisk(snapshotOf(3))
    expect(disk.filesystems).toHaveLength(12)
    expect(disk.fullest?.mountpoint).toBe('/srv/media')
    expect(disk.readRate).toBeGreaterThan(0)
  })
  it('have the traffic in bits and the link state, but no usage if the speed is unknown', () => {
    const nics = readNetwork(snapshotOf(3)).interfaces
    expect(nics.find(({ name }) => name === 'eno3')).toMatchObject({ up: false, speed: null, usage: null })
    expect(nics[0]!.receive).toBeGreaterThanOrEqual(nics[1]!.receive!)
  })
  it('are null for an empty frame', () => {
    const empty = makeSnapshot(NOW, [])
    expect(readCpu(empty)).toMatchObject({ usage: null, cores: [], modes: [] })
    expect(readDisk(empty)).toMatchObject({ fullest: null, readRate: null, busy: null })
    expect(readNetwork(empty)).toMatchObject({ receive: null, faults: null })
  })
})

it('lists findings, the most serious first', () => {
  const findings = (id: number) => findingsOf(readSnapshot(snapshotOf(id)))
  expect(findings(1)).toEqual([])
  const storage = findings(3)
  expect(storage[0]).toMatchObject({ code: 'filesystem', level: 'critical', subject: '/srv/media' })
  expect(storage.map(({ code }) => code)).toContain('faults')
})

it('maps usage to a level', () => {
  expect([usageLevel('filesystem', 0.79), usageLevel('filesystem', 0.8), usageLevel('filesystem', 0.92), usageLevel('cpu', 0.8), usageLevel('cpu', null)])
    .toEqual(['ok', 'warning', 'critical', 'ok', 'ok'])
  expect(worstLevel(['ok', 'warning'])).toBe('warning')
  expect(worstLevel([])).toBe('ok')
})

describe('the trend', () => {
  const times = Array.from({ length: 80 }, (_, i) => i * 10_000)
  const now = times.at(-1)!
  const values = (before: number, after: number) => times.map(time => (time < now - 300_000 ? before : after))
  it('compares the last minute with the minute ten minutes ago', () => {
    expect(trendOf(times, values(0.2, 0.5), now, 'ratio')).toEqual({ direction: 'up', delta: expect.closeTo(0.3) })
    expect(trendOf(times, values(200, 100), now, 'bytes_per_second')).toEqual({ direction: 'down', delta: -100 })
  })
  it('ignores small changes', () => {
    expect(trendOf(times, values(0.2, 0.205), now, 'ratio')?.direction).toBe('flat')
    expect(trendOf(times, values(100, 105), now, 'bytes_per_second')?.direction).toBe('flat')
    expect(trendOf(times, values(0, 0), now, 'bytes_per_second')?.direction).toBe('flat')
  })
  it('is unknown if either minute has no value', () => {
    expect(trendOf(times.slice(-10), values(1, 1).slice(-10), now, 'ratio')).toBeNull()
    expect(trendOf([], [], now, 'ratio')).toBeNull()
  })
})

it('finds servers by the words of their name, composed or decomposed', () => {
  const { servers: list } = servers(NOW) as ServerPage
  const ids = (query: string) => matchServers(list, query).map(({ id }) => id)
  expect(ids('')).toHaveLength(7)
  expect(ids('DB prim')).toEqual([2])
  expect(ids('결제 서비스'.normalize('NFD'))).toEqual([4])
  expect(ids('#6')).toEqual([6])
  expect(ids('nothing')).toEqual([])
})
