import { describe, expect, it } from 'vitest'
import type { LiveSeries } from '~/api/metrics'
import type { Server, ServerState } from '~/api/servers'
import { NO_ALERTS, compareProblems, compareValues, countAlerts, filterServers, groupByTag, readFleet, tagNames, toRow } from '~/utils/fleet'
import type { FleetRow } from '~/utils/fleet'

const gauge = (metric: string, value: number | null, labels: Record<string, string> = {}): LiveSeries =>
  ({ metric, labels, unit: '', kind: 'gauge', value, rate: null })
const counter = (metric: string, rate: number | null, name: string): LiveSeries =>
  ({ metric, labels: { interface: name }, unit: 'bytes', kind: 'counter', value: 1, rate })
const server = (id: number, name: string, state: ServerState = 'up', tags: Record<string, string> = {}): Server =>
  ({ id, name, state, tags, host: { hostname: '', cpu_count: 2 } }) as unknown as Server
const row = (of: Server, worst: FleetRow['alerts']['worst'] = null): FleetRow => toRow(of, null, { count: worst ? 1 : 0, worst })

describe('a reading of a server', () => {
  it('has the fullest filesystem and the traffic of all interfaces', () => {
    const reading = readFleet(null, 1_000, [
      gauge('cpu_usage_ratio', 0.5), gauge('memory_usage_ratio', 0.25), gauge('load_1m', 1.5),
      gauge('filesystem_usage_ratio', 0.3, { mountpoint: '/' }), gauge('filesystem_usage_ratio', 0.9, { mountpoint: '/srv' }),
      counter('network_receive_bytes_total', 100, 'eth0'), counter('network_receive_bytes_total', 25, 'eth1'), counter('network_transmit_bytes_total', 10, 'eth0'),
    ])
    expect(reading).toEqual({ timeMs: 1_000, cpu: 0.5, memory: 0.25, disk: 0.9, mountpoint: '/srv', load: 1.5, receive: 1_000, transmit: 80, temperature: null })
  })
  it('keeps what comes in frames of another layout', () => {
    const first = readFleet(null, 1_000, [gauge('cpu_usage_ratio', 0.5), counter('network_receive_bytes_total', 1, 'eth0')])
    const second = readFleet(first, 2_000, [gauge('filesystem_usage_ratio', 0.4, { mountpoint: '/' })])
    expect(second).toMatchObject({ timeMs: 2_000, cpu: 0.5, receive: 8, disk: 0.4 })
    expect(readFleet(second, 3_000, [gauge('cpu_usage_ratio', null)]).cpu).toBeNull()
  })
  it('knows the hottest sensor', () => {
    const hot = (value: number | null, sensor: string) => gauge('sensor_temperature_celsius', value, { sensor })
    expect(readFleet(null, 1, [hot(41, 'a'), hot(67.5, 'b'), hot(null, 'c'), gauge('gpu_temperature_celsius', 50)]).temperature).toBe(67.5)
    expect(readFleet(null, 1, [hot(-12, 'a')]).temperature).toBe(-12)
  })
  it('reports nothing that the server does not report', () => {
    expect(readFleet(null, 1, [])).toEqual({ timeMs: 1, cpu: null, memory: null, disk: null, mountpoint: '', load: null, receive: null, transmit: null, temperature: null })
    expect(readFleet(null, 1, [counter('network_receive_bytes_total', null, 'eth0')]).receive).toBeNull()
  })
})

describe('the order', () => {
  it('has what is wrong first', () => {
    const rows = [row(server(1, 'web-10')), row(server(2, 'web-9')), row(server(3, 'b', 'late')), row(server(4, 'c', 'down')), row(server(5, 'z'), 'critical'), row(server(6, 'y'), 'warning')]
    const full = toRow(server(7, 'x'), readFleet(null, 1, [gauge('filesystem_usage_ratio', 0.99, { mountpoint: '/' })]), NO_ALERTS)
    expect([...rows, full].sort(compareProblems).map(item => item.server.name)).toEqual(['c', 'b', 'z', 'y', 'x', 'web-9', 'web-10'])
  })
  it.each([
    { name: 'rises at once', usages: [0.84, 0.85], levels: ['ok', 'warning'] },
    { name: 'stays while the usage is near the limit', usages: [0.85, 0.83, 0.86, 0.829], levels: ['warning', 'warning', 'warning', 'warning'] },
    { name: 'falls when it is clearly less', usages: [0.96, 0.93, 0.915, 0.81], levels: ['critical', 'critical', 'warning', 'ok'] },
    { name: 'falls by two at once', usages: [0.96, 0.5], levels: ['critical', 'ok'] },
    { name: 'does not rise by what keeps it from falling', usages: [0.5, 0.83, 0.86, 0.93], levels: ['ok', 'ok', 'warning', 'warning'] },
  ])('of a server in it $name', ({ usages, levels }) => {
    let before: FleetRow | undefined
    expect(usages.map((usage) => {
      before = toRow(server(1, 'a'), readFleet(null, 1, [gauge('memory_usage_ratio', usage)]), NO_ALERTS, before)
      return before.level
    })).toEqual(levels)
  })
  it('keeps a row of which nothing has changed', () => {
    const of = server(1, 'a')
    const reading = readFleet(null, 1, [])
    const first = toRow(of, reading, NO_ALERTS)
    expect(toRow(of, reading, NO_ALERTS, first)).toBe(first)
    expect(toRow(of, { ...reading }, NO_ALERTS, first)).not.toBe(first)
  })
  it('has missing values last when the largest come first', () => {
    expect([0.5, null, 0, 0.9].sort((a, b) => compareValues(b, a))).toEqual([0.9, 0.5, 0, null])
  })
})

it('counts the alerts of each server, and knows the worst', () => {
  const counts = countAlerts([{ server_id: 1, severity: 'warning' }, { server_id: 1, severity: 'critical' }, { server_id: 2, severity: 'info' }])
  expect(counts.get(1)).toEqual({ count: 2, worst: 'critical' })
  expect(counts.get(2)).toEqual({ count: 1, worst: 'info' })
  expect(counts.get(3) ?? NO_ALERTS).toEqual({ count: 0, worst: null })
})

it('finds servers by state, name and tag', () => {
  const all = [server(1, 'web-1', 'up', { role: 'web', site: 'seoul' }), server(2, 'db-1', 'down', { role: 'db', site: 'seoul' }), server(3, 'db-2')]
  const ids = (...filter: Parameters<typeof filterServers>) => filterServers(...filter).map(({ id }) => id)
  expect(ids(all, 'all', '')).toEqual([1, 2, 3])
  expect(ids(all, 'down', '')).toEqual([2])
  expect(ids(all, 'all', 'role=db seoul')).toEqual([2])
  expect(ids(all, 'up', 'db')).toEqual([3])
})

it('groups servers by a tag, in the order of its values', () => {
  const rows = [server(1, 'c', 'up', { rack: 'r10' }), server(2, 'b'), server(3, 'a', 'up', { rack: 'r9' }), server(4, 'd', 'up', { rack: 'r10', site: 'seoul' })].map(of => row(of))
  expect(groupByTag(rows, 'rack').map(({ value, rows: members }) => [value, members.map(({ server: { id } }) => id)])).toEqual([['r9', [3]], ['r10', [1, 4]], [null, [2]]])
  expect(groupByTag([], 'rack')).toEqual([])
  expect(tagNames(rows.map(item => item.server))).toEqual(['rack', 'site'])
})
