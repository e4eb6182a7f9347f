import { describe, expect, it } from 'vitest'
import type { CatalogMetric } from '~/api/catalog'
import type { MetricsHistory } from '~/api/metrics'
import { MOST_LINES, displayUnit, explorerModel, explorerQuery, groupings, labelChoices, readExplorer, writeExplorer } from '~/utils/explorer'
import type { ExplorerState } from '~/utils/explorer'

const HOUR_MS = 3_600_000
const NOW = 1_790_000_000_000
const USUAL: ExplorerState = { metrics: [], queries: [], servers: [], labels: '', combine: 'none', by: '', range: '1h', between: null, drawing: 'lines', compare: 'none' }

describe('the URL', () => {
  const all: ExplorerState = {
    metrics: ['cpu_usage_ratio', 'filesystem_usage_ratio'], queries: ['sum(a)', ''], servers: [3, 1], labels: 'device=sda mountpoint!=/boot',
    combine: 'p95', by: 'tag:role', range: '7d', between: [NOW - HOUR_MS, NOW], drawing: 'stack', compare: 'week',
  }

  it('restores everything', () => {
    expect(readExplorer(writeExplorer(all))).toEqual(all)
    expect(readExplorer(writeExplorer({ ...all, servers: [], between: null, drawing: 'log' }))).toEqual({ ...all, servers: [], between: null, drawing: 'log' })
  })

  it('leaves out what is as usual', () => {
    expect(Object.values(writeExplorer(USUAL)).filter(Boolean)).toEqual([])
    expect(readExplorer({})).toEqual(USUAL)
  })

  it('ignores what makes no sense', () => {
    const odd = { metric: ['a', '', 'a', null], server: 'x,-1,2.5,7', combine: 'nope', range: '1y', promql: [5], from: '5', to: '4', draw: 'yes', compare: 'year' }
    expect(readExplorer(odd)).toEqual({ ...USUAL, metrics: ['a'], servers: [7] })
  })
})

it('asks for one metric of the selected servers', () => {
  expect(explorerQuery(USUAL, 'load_1m', 400)).toEqual({ metric: ['load_1m'], server: [], labels: [], start: '-3600s', end: 'now', max_points: 400, limit: MOST_LINES })
  const some: ExplorerState = { ...USUAL, servers: [2], labels: ' device=sda  x!=y ', combine: 'max', by: 'server', between: [1_000.4, 2_000.6] }
  expect(explorerQuery(some, 'm', 10)).toMatchObject({ server: [2], labels: ['device=sda', 'x!=y'], start: '1000', end: '2001', across: 'max', group_by: ['server'] })
  expect(explorerQuery({ ...some, by: '' }, 'm', 10)).toMatchObject({ across: 'max', group_by: [] })
  expect(explorerQuery(USUAL, 'm', 10, 24 * HOUR_MS)).toMatchObject({ start: '-90000s', end: '-86400s' })
  expect(explorerQuery({ ...USUAL, between: [NOW, NOW + 5] }, 'm', 10, 24 * HOUR_MS)).toMatchObject({ start: String(NOW - 24 * HOUR_MS), end: String(NOW + 5 - 24 * HOUR_MS) })
})

it('knows how to write values of any base unit', () => {
  expect([displayUnit('bytes', false), displayUnit('bytes', true), displayUnit('ratio', false), displayUnit('seconds', true), displayUnit('', true), displayUnit('celsius', false)])
    .toEqual(['bytes', 'bytes_per_second', 'ratio', 'ratio', 'per_second', 'number'])
})

describe('the model', () => {
  const series = (serverId: number | null, labels: Record<string, string>, more: object = {}) => ({
    server_id: serverId, metric: 'disk_read_bytes_total', labels, unit: 'bytes', kind: 'counter', aggregation: 'rate', members: 1,
    times: [NOW, NOW + 10_000, NOW + 60_000], values: [1, 2, null], min: null, max: null, ...more,
  })
  const answer = (...list: object[]): MetricsHistory => ({ start_ms: NOW, end_ms: NOW + HOUR_MS, resolution: 'raw', step_ms: null, series: list, missing: [], next: null }) as never
  const options = { theme: 'dark' as const, intervalMs: 10_000, serverName: (id: number) => `web-${id}`, allName: 'All' }
  const names = (...list: object[]) => explorerModel(answer(...list), options).lines.map(line => line.name)

  it('names lines by what tells them apart', () => {
    expect(names(series(1, { device: 'sda' }), series(1, { device: 'sdb' }))).toEqual(['sda', 'sdb'])
    expect(names(series(1, { device: 'sda' }), series(2, { device: 'sda' }))).toEqual(['web-1 · sda', 'web-2 · sda'])
    expect(names(series(1, {}))).toEqual(['web-1'])
    expect(names(series(null, {}))).toEqual(['All'])
    expect(names(series(null, { server: '2' }), series(null, { server: '1' }))).toEqual(['web-2', 'web-1'])
    expect(names(series(null, { 'tag:role': 'db' }), series(null, { 'tag:role': '' }))).toEqual(['role=db', 'role=–'])
    expect(names(series(null, { mode: 'user' }))).toEqual(['user'])
  })

  it('keeps the lines of two servers with the same series apart', () => {
    const model = explorerModel(answer(series(1, { device: 'sda' }), series(2, { device: 'sda' })), options)
    expect(new Set(model.lines.map(line => line.key)).size).toBe(2)
    expect(model.lines[0]!.values).toEqual(model.lines[1]!.values)
    expect(model.unit).toBe('bytes_per_second')
    expect([model.startMs, model.endMs, model.gapMs]).toEqual([NOW, NOW + HOUR_MS, 30_000])
  })

  it('draws an earlier time over the present one, in the same colour', () => {
    // The second answer came a moment later.
    const earlier = { ...answer(series(1, { device: 'sda' }, { times: [NOW - 24 * HOUR_MS, NOW - 24 * HOUR_MS + 5_000], values: [8, 9] })), start_ms: NOW - 24 * HOUR_MS + 17 }
    const model = explorerModel(answer(series(1, { device: 'sda' })), { ...options, earlier: { answer: earlier, nameOf: name => `${name} then` } })
    expect(model.lines.map(({ name, isEarlier }) => [name, isEarlier])).toEqual([['sda', false], ['sda then', true]])
    expect(model.times.slice(0, 3)).toEqual([NOW, NOW + 5_000, NOW + 10_000])
    expect(model.lines[1]!.values.slice(0, 2)).toEqual([8, 9])
    expect(model.lines[1]!.color).toBe(model.lines[0]!.color)
    expect(model.lines[1]!.dash).not.toEqual(model.lines[0]!.dash)
    expect([model.startMs, model.endMs]).toEqual([NOW, NOW + HOUR_MS])
  })

  it('counts in plain numbers, and survives an empty answer', () => {
    expect(explorerModel(answer(series(null, {}, { aggregation: 'count' })), options).unit).toBe('number')
    expect(explorerModel(answer(), options)).toMatchObject({ lines: [], times: [], unit: 'number' })
    expect(names(series(1, {}, { times: [], values: [] }))).toEqual([])
  })
})

it('offers what there is to group and to filter by', () => {
  const catalog = [
    { metric: 'a', labels: { device: ['sdb', 'sda'] } }, { metric: 'b', labels: { mountpoint: ['/'] } }, { metric: 'c', labels: {} },
  ] as unknown as CatalogMetric[]
  expect(groupings(catalog, ['a', 'c'], [{ role: 'web' }, { site: 'seoul', role: 'db' }])).toEqual(['server', 'tag:role', 'tag:site', 'label:device'])
  expect(labelChoices(catalog, ['b', 'a'])).toEqual(['device=sda', 'device=sdb', 'mountpoint=/'])
})
