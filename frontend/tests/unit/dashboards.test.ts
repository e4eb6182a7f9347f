import { describe, expect, it } from 'vitest'
import type { Dashboard, Widget } from '~/api/dashboards'
import type { MetricsHistory } from '~/api/metrics'
import type { Server } from '~/api/servers'
import { readExplorer } from '~/utils/explorer'
import { chartOf } from '~/utils/chartWidgets'
import { explorerQueryOf } from '~/utils/dashboardLinks'
import { Steps, emptyDashboard, freeId, freePlace, inOrder, isDue, moved, onPhone, rangeMs, readChoices, selectionOf, sourceQuery, writeChoice } from '~/utils/dashboards'
import { joinList, splitList } from '~/utils/lists'
import { renderMarkdown } from '~/utils/markdown'
import { NewestValues, presentValues } from '~/utils/present'
import { selectServers } from '~/utils/selectServers'
import { historyOf, metricTitle, namesOf, statisticOf } from '~/utils/sourceHistory'
import { Turns } from '~/utils/turns'
import { levelOf } from '~/widgets/kinds'

const widget = (id: string, x: number, y: number, w = 4, h = 2): Widget => ({ id, type: 'text', version: 1, title: '', place: { x, y, w, h }, phone: null, config: { markdown: '' } })
const withWidgets = (...widgets: Widget[]): Dashboard => ({ ...emptyDashboard('Test'), widgets })
const server = (id: number, name: string, tags: Record<string, string> = {}, state = 'up') => ({ id, name, tags, state }) as Server
const gauge = (metric: string, value: number | null, labels: Record<string, string> = {}) => ({ metric, labels, unit: 'ratio', kind: 'gauge' as const, value, rate: null })

it('refreshes as often as the dashboard says, and not while it is paused', () => {
  expect(isDue('live', true, 0)).toBe(true)
  expect(isDue('10s', true, 9_999)).toBe(false)
  expect(isDue('10s', true, 10_000)).toBe(true)
  expect(isDue('5m', true, 300_000)).toBe(true)
  expect(isDue('off', true, 1e9)).toBe(false)
  expect(isDue('live', false, 1e9)).toBe(false)
})

describe('the grid', () => {
  it('finds the first free place', () => {
    expect(freePlace(withWidgets(), 6, 5)).toEqual({ x: 0, y: 0, w: 6, h: 5 })
    expect(freePlace(withWidgets(widget('a', 0, 0)), 4, 2)).toEqual({ x: 4, y: 0, w: 4, h: 2 })
    expect(freePlace(withWidgets(widget('a', 0, 0), widget('b', 8, 0)), 6, 1)).toEqual({ x: 0, y: 2, w: 6, h: 1 })
  })

  it('gives ids that nobody has', () => {
    expect(freeId(withWidgets(widget('text-1', 0, 0), widget('text-3', 0, 2)), 'text')).toBe('text-2')
  })

  it('moves and resizes within its bounds', () => {
    expect(moved({ x: 8, y: 0, w: 4, h: 2 }, { x: 1 })).toEqual({ x: 8, y: 0, w: 4, h: 2 })
    expect(moved({ x: 8, y: 0, w: 4, h: 2 }, { w: 1 })).toEqual({ x: 7, y: 0, w: 5, h: 2 })
    expect(moved({ x: 0, y: 0, w: 1, h: 1 }, { w: -1 })).toEqual({ x: 0, y: 0, w: 1, h: 1 })
    expect(moved({ x: 0, y: 0, w: 1, h: 24 }, { h: 1, y: -1 })).toEqual({ x: 0, y: 0, w: 1, h: 24 })
  })

  it('reads from the top left, and on a phone as the document says', () => {
    const [a, b, c] = [widget('a', 6, 0), widget('b', 0, 0), widget('c', 0, 5)]
    expect(inOrder([c, a, b]).map(({ id }) => id)).toEqual(['b', 'a', 'c'])
    expect(onPhone([{ ...c, phone: { y: -1, h: 2 } }, a, { ...b, phone: { y: 0, h: 2, hidden: true } }]).map(({ id }) => id)).toEqual(['c', 'a'])
  })

  it('knows ranges', () => {
    expect([rangeMs('15m'), rangeMs('6h'), rangeMs('7d')]).toEqual([900_000, 21_600_000, 604_800_000])
  })
})

describe('variables', () => {
  const variables = [{ name: 'server', type: 'server' as const, values: ['web-1'] }, { name: 'mount', type: 'label' as const, of: 'mountpoint', multiple: false }]

  it('come from the URL, or from the document', () => {
    expect(readChoices(variables, {})).toEqual({ server: ['web-1'], mount: [] })
    expect(readChoices(variables, { 'var-server': '', 'var-mount': ['/', '/srv'] })).toEqual({ server: [], mount: ['/'] })
    expect(readChoices(variables, { 'var-server': ['a', 'b'] })).toEqual({ server: ['a', 'b'], mount: [] })
  })

  it('are in the URL only where the document says otherwise', () => {
    expect(writeChoice(variables[0]!, ['web-1'])).toEqual({ 'var-server': undefined })
    expect(writeChoice(variables[0]!, [])).toEqual({ 'var-server': '' })
    expect(writeChoice(variables[1]!, ['/srv'])).toEqual({ 'var-mount': ['/srv'] })
  })

  it('fill sources in; what stands for all filters nothing', () => {
    const source = { servers: { names: ['$server', 'db-*'], tags: ['role=$role', 'site=seoul'] }, labels: ['mountpoint=$mount'] }
    expect(selectionOf(source, { server: ['web-1', 'web-2'], role: ['a', 'b'], mount: ['/srv'] })).toEqual({
      name: ['web-1', 'web-2', 'db-*'], tag: ['role=a|b', 'site=seoul'], labels: ['mountpoint=/srv'],
    })
    expect(selectionOf(source, { server: [], role: [], mount: [] })).toEqual({ name: [], tag: ['site=seoul'], labels: [] })
    expect(selectionOf(source, {})).toEqual({ name: ['$server', 'db-*'], tag: ['role=$role', 'site=seoul'], labels: ['mountpoint=$mount'] })
  })
})

it('asks for the history of a source, now and earlier', () => {
  const source = { metrics: ['cpu'], servers: { names: ['web-1'] }, combine: 'avg' as const, by: 'server' }
  const limits = { points: 100, lines: 60 }
  expect(sourceQuery(source, {}, { rangeMs: 3_600_000, between: null }, limits)).toEqual({
    metric: ['cpu'], name: ['web-1'], tag: [], labels: [], start: '-3600s', end: 'now', max_points: 100, limit: 60, across: 'avg', group_by: ['server'],
  })
  expect(sourceQuery(source, {}, { rangeMs: 3_600_000, between: null }, limits, 86_400_000)).toMatchObject({ start: '-90000s', end: '-86400s' })
  expect(sourceQuery({ metrics: ['cpu'] }, {}, { rangeMs: 1, between: [1_000, 5_000] }, limits, 500)).toMatchObject({ start: '500', end: '4500' })
})

it('takes steps back and forth', () => {
  const steps = new Steps(emptyDashboard('0'))
  for (let i = 1; i <= 120; i++) steps.push(emptyDashboard(String(i)))
  steps.push(emptyDashboard('120'))
  steps.undo()
  steps.undo()
  expect([steps.present.title, steps.canRedo]).toEqual(['118', true])
  steps.redo()
  steps.push(emptyDashboard('new'))
  expect([steps.present.title, steps.canRedo]).toEqual(['new', false])
  for (let i = 0; i < 200; i++) steps.undo()
  expect([steps.present.title, steps.canUndo]).toEqual(['21', false])
})

describe('present values', () => {
  const values = new NewestValues()
  values.take(1, 100_000, 10_000, [gauge('cpu', 0.2, { core: '0' }), gauge('cpu', 0.4, { core: '1' }), gauge('ended', 1)])
  values.take(2, 100_000, 10_000, [gauge('cpu', 0.9, { core: '0' })])
  values.take(1, 190_000, 10_000, [gauge('cpu', 0.3, { core: '0' }), gauge('cpu', 0.5, { core: '1' })])
  values.take(1, 110_000, 10_000, [gauge('cpu', 0.99, { core: '0' })])
  const tagsOf = (id: number): Record<string, string> => (id === 1 ? { role: 'web' } : {})
  const of = (combine: Parameters<typeof presentValues>[1], by = '') => Object.fromEntries(presentValues(values.of(new Set(['cpu', 'ended'])), combine, by, tagsOf).map(({ key, value }) => [key, value]))

  it('are the newest of each series, without those that ended', () => {
    expect(of('none')).toEqual({ 'cpu{core="0",server="1"}': 0.3, 'cpu{core="1",server="1"}': 0.5, 'cpu{core="0",server="2"}': 0.9 })
  })

  it('are combined as the API does it', () => {
    expect(of('sum').cpu).toBeCloseTo(1.7)
    expect(of('max', 'server')).toEqual({ 'cpu{server="1"}': 0.5, 'cpu{server="2"}': 0.9 })
    expect(of('min', 'label:core')).toEqual({ 'cpu{core="0"}': 0.3, 'cpu{core="1"}': 0.5 })
    expect(of('count', 'tag:role')).toEqual({ 'cpu{tag:role="web"}': 2, 'cpu{tag:role=""}': 1 })
    expect(of('p95').cpu).toBeCloseTo(0.86)
    expect(presentValues(values.of(new Set(['cpu'])), 'avg', '', tagsOf)[0]).toMatchObject({ extremes: [0.3, 0.9], timeMs: 190_000 })
  })

  it('of series that come seldom last as long as it takes', () => {
    const slow = new NewestValues()
    slow.take(1, 0, 300_000, [gauge('script', 1)])
    slow.take(1, 0, null, [gauge('unknown', 1)])
    slow.take(1, 600_000, 1_000, [gauge('cpu', 1)])
    const metrics = () => slow.of(new Set(['script', 'unknown', 'cpu'])).map(({ series }) => series.metric)
    expect(metrics()).toEqual(['script', 'unknown', 'cpu'])
    slow.take(1, 901_000, 1_000, [gauge('cpu', 1)])
    expect(metrics()).toEqual(['cpu'])
  })

  it('of servers that are not selected any more are forgotten', () => {
    const other = new NewestValues()
    other.take(1, 1, null, [gauge('cpu', 1)])
    other.take(2, 1, null, [gauge('cpu', 2)])
    other.keep([2])
    expect(other.of(new Set(['cpu'])).map(({ serverId }) => serverId)).toEqual([2])
  })
})

describe('histories of sources', () => {
  const series = (labels: Record<string, string>, values: (number | null)[], serverId: number | null = 1) => ({
    server_id: serverId, metric: 'disk_read_bytes_total', labels, unit: 'bytes', kind: 'counter', aggregation: 'rate',
    times: values.map((_, i) => i * 10_000), values, min: null, max: null,
  })
  const answer = { start_ms: 0, end_ms: 30_000, step_ms: null, next: null, series: [series({ device: 'sda' }, [10, null, 30]), series({}, [5, 5, 5], null)] } as unknown as MetricsHistory

  it('know their unit and their servers', () => {
    const history = historyOf(answer)
    expect([history.unit, history.baseUnit, history.isRate, history.isComplete, history.spacingMs]).toEqual(['bytes_per_second', 'bytes', true, true, 10_000])
    expect(history.data.series.map(({ key }) => key)).toEqual(['disk_read_bytes_total{device="sda",server="1"}', 'disk_read_bytes_total'])
  })

  it('have statistics; rates add up to an amount', () => {
    const [first, second] = historyOf(answer).data.series
    expect((['last', 'avg', 'min', 'max'] as const).map(statistic => statisticOf(first!, statistic, null, true))).toEqual([30, 20, 10, 30])
    expect(statisticOf(first!, 'sum', null, true)).toBe(300)
    expect(statisticOf(second!, 'sum', 10_000, true)).toBe(150)
    expect(statisticOf(second!, 'sum', null, false)).toBe(15)
    expect(statisticOf({ ...first!, values: [null, null, null] }, 'max', null, false)).toBeNull()
  })
})

it('names things by what tells them apart', () => {
  const options = { serverName: (id: number) => `s${id}`, allName: 'All' }
  const named = (...items: [metric: string, labels: Record<string, string>][]) =>
    [...namesOf(items.map(([metric, labels], i) => ({ key: String(i), metric, labels })), options).values()]
  expect(named(['cpu', {}])).toEqual(['All'])
  expect(named(['cpu', { server: '1' }])).toEqual(['s1'])
  expect(named(['cpu', { server: '1', core: '3' }])).toEqual(['3'])
  expect(named(['cpu', { server: '1' }], ['cpu', { server: '2' }])).toEqual(['s1', 's2'])
  expect(named(['disk', { 'tag:role': 'web' }], ['disk', { 'tag:role': '' }])).toEqual(['role=web', 'role=–'])
  expect(named(['network_receive_bytes_total', {}], ['network_transmit_bytes_total', {}])).toEqual(['Network receive', 'Network transmit'])
  // Device and file system only where the mount point does not tell.
  const mount = (server: string, device: string, mountpoint: string): [string, Record<string, string>] => ['fs', { server, device, fstype: device, mountpoint }]
  expect(named(mount('1', 'sda', '/'), mount('1', 'sdb', '/srv'), mount('2', 'sdc', '/'))).toEqual(['s1 · /', 's1 · /srv', 's2 · /'])
  expect(named(mount('1', 'sda', '/'), mount('1', 'sdb', '/'))).toEqual(['sdb', 'sdb'].map((_, i) => ['sda', 'sdb'][i]))
})

it('calls metrics as people do', () => {
  expect(['cpu_usage_ratio', 'network_tcp_connections', 'system_uptime_seconds', 'load_1m', '_'].map(metricTitle))
    .toEqual(['CPU usage', 'Network TCP connections', 'System uptime', 'Load 1m', ' '])
})

it('lets no HTML and no hostile link of a text through', () => {
  const html = renderMarkdown('# Title\n<img src=x onerror=alert(1)>\n<script>alert(1)</script>\n![x](https://e.example/x.png)\n[a](javascript:alert(1)) [b](https://b.example) [c](data:text/html,x)')
  const tags = [...html.matchAll(/<([a-z0-9]+)/g)].map(match => match[1])
  expect(tags.filter(tag => !['h1', 'p', 'br', 'a'].includes(tag!))).toEqual([])
  expect([...html.matchAll(/href="([^"]*)"/g)].map(match => match[1])).toEqual(['https://e.example/x.png', 'https://b.example'])
  expect(html.match(/rel="noopener noreferrer nofollow"/g)).toHaveLength(2)
})

it('selects servers as the API does', () => {
  const servers = [server(1, 'web-1', { role: 'web' }), server(2, 'Web-2', { role: 'web', site: 'x' }), server(3, 'db (1)', { role: 'db' }), server(4, 'web-4', { role: 'web' }, 'retired')]
  const names = (name: string[], tag: string[] = []) => selectServers(servers, { name, tag }).map(({ id }) => id)
  expect(names([])).toEqual([1, 2, 3])
  expect(names(['WEB-*'])).toEqual([1, 2])
  expect(names(['db (1)', 'web-1'])).toEqual([1, 3])
  expect(names([], ['role=web|db', 'site!=x'])).toEqual([1, 3])
  expect(names([], ['site='])).toEqual([1, 3])
})

it('leads to the explorer and back', () => {
  const servers = [server(1, 'web-1'), server(2, 'db-1')]
  const source = { metrics: ['cpu'], servers: { names: ['$server'] }, labels: ['core=0'], combine: 'max' as const, by: 'server' }
  const query = explorerQueryOf(source, 'stack', { server: ['db-1'] }, { rangeMs: 7_200_000, between: null }, servers)
  const state = readExplorer(query)
  expect(state).toMatchObject({ metrics: ['cpu'], servers: [2], labels: 'core=0', combine: 'max', by: 'server', range: '6h', drawing: 'stack' })
  expect(chartOf(state, 'cpu', servers).config.source).toEqual({ ...source, servers: { names: ['db-1'], tags: [] } })
})

it('splits and joins lists', () => {
  expect(splitList(' a, b ,, c')).toEqual(['a', 'b', 'c'])
  expect(joinList(['a', 'b'])).toBe('a, b')
})

it('knows the level of a value', () => {
  const thresholds = [{ value: 0.8, level: 'warning' as const }, { value: 0.95, level: 'critical' as const }]
  expect([null, 0.5, 0.8, 0.99].map(value => levelOf(value, thresholds))).toEqual(['ok', 'ok', 'warning', 'critical'])
})

describe('turns of widgets', () => {
  const frames: (() => void)[] = []
  const next = () => frames.shift()?.()
  const turns = new Turns(task => frames.push(task))

  it('share out the work over some frames, the newest of each owner', () => {
    const done: string[] = []
    const owners = Array.from({ length: 7 }, () => Symbol('owner'))
    owners.forEach((owner, i) => turns.add(owner, () => done.push(`old ${i}`)))
    owners.forEach((owner, i) => turns.add(owner, () => done.push(String(i))))
    turns.remove(owners[6]!)
    expect([done, frames.length]).toEqual([[], 1])
    next()
    expect(done).toEqual(['0', '1'])
    while (frames.length > 0) next()
    expect(done).toEqual(['0', '1', '2', '3', '4', '5'])
  })

  it('wait while something is dragged', () => {
    const done: string[] = []
    turns.add(Symbol('owner'), () => done.push('late'))
    turns.hold(true)
    next()
    expect([done, frames.length]).toEqual([[], 0])
    turns.hold(false)
    next()
    expect(done).toEqual(['late'])
  })
})
