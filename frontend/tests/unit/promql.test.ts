import { describe, expect, it } from 'vitest'
import type { CatalogMetric } from '~/api/catalog'
import { complete, stepMs, toCsv, toHistory, withVariables } from '~/utils/promql'
import type { PromQLRow } from '~/utils/promql'

const HOUR_MS = 3_600_000
const CATALOG = [
  { metric: 'disk_reads_total', labels: { device: ['sda', 'sdb'] } },
  { metric: 'cpu_usage_ratio', labels: {} },
  { metric: 'network_receive_bytes_total', labels: { interface: ['eth0', 'lo'] } },
] as unknown as CatalogMetric[]

it('takes the shortest step that people like', () => {
  expect([stepMs(HOUR_MS, 500), stepMs(24 * HOUR_MS, 500), stepMs(60_000, 500), stepMs(10_000 * 24 * HOUR_MS, 100)]).toEqual([10_000, 300_000, 1_000, 100 * 24 * HOUR_MS])
})

it('knows the names that Grafana has for steps', () => {
  expect(withVariables('rate(a[$__rate_interval]) / b[$__interval]', 15_000, 10_000)).toBe('rate(a[60s]) / b[15s]')
  expect(withVariables('rate(a[$__rate_interval])', 300_000, 10_000)).toBe('rate(a[310s])')
  expect(withVariables('rate(a[$__rate_interval])', 1_000, 60_000)).toBe('rate(a[240s])')
})

describe('an answer', () => {
  const rows: PromQLRow[] = [
    { metric: { __name__: 'a', instance: 'web-1', server: '1', device: 'sda' }, values: [[10, '1.5'], [20.5, 'NaN'], [30, '+Inf']] },
    { metric: { server: '2' }, values: [[10, '2']] },
  ]

  it('is drawn as a history', () => {
    const history = toHistory(rows, 10_000, 40_000, 10_000)
    expect(history.series.map(({ labels, times, values }) => ({ labels, times, values }))).toEqual([
      { labels: { metric: 'a', instance: 'web-1', device: 'sda' }, times: [10_000, 20_500, 30_000], values: [1.5, null, null] },
      { labels: { server: '2' }, times: [10_000], values: [2] },
    ])
    expect([history.start_ms, history.end_ms, history.step_ms]).toEqual([10_000, 40_000, 10_000])
    expect(toHistory(rows.slice(0, 1), 0, 1, 1).series[0]!.labels).toEqual({ instance: 'web-1', device: 'sda' })
  })

  it('is saved as a table', () => {
    expect(toCsv([{ metric: { b: 'x,"y"' }, values: [[0, '1']] }, { metric: { a: 'z' }, values: [[1, 'NaN']] }]))
      .toBe('time,a,b,value\n1970-01-01T00:00:00.000Z,,"x,""y""",1\n1970-01-01T00:00:01.000Z,z,,NaN\n')
  })
})

describe('completion', () => {
  // The cursor is at the bar.
  const at = (marked: string) => {
    const { from, choices } = complete(marked.replace('|', ''), marked.indexOf('|'), CATALOG)
    return { from, texts: choices.map(({ text }) => text) }
  }

  it('offers metrics and functions, those that begin so first', () => {
    expect(at('rat|').texts).toEqual(['rate', 'cpu_usage_ratio', 'irate'])
    expect(at('sum(disk|)')).toEqual({ from: 4, texts: ['disk_reads_total'] })
  })

  it('offers the labels of the metric in braces, and their values in quotes', () => {
    expect(at('disk_reads_total{|}').texts).toEqual(['device', 'instance', 'server'])
    expect(at('disk_reads_total{device="|"}').texts).toEqual(['sda', 'sdb'])
    expect(at('disk_reads_total{device=~"sd|').texts).toEqual(['sda', 'sdb'])
    expect(at('{instance="x", int|').texts).toEqual(['interface'])
  })

  it('offers labels to group and match by', () => {
    expect(at('sum by (dev|').texts).toEqual(['device'])
    expect(at('a / on (instance, s|').texts).toEqual(['server', 'instance'])
  })

  it('keeps quiet where nothing can follow', () => {
    for (const marked of ['|', 'a[5|', 'a[5m|', '12|', '"a|', 'disk_reads_total{device|="sda"}', 'a{b="c" |']) expect(at(marked).texts, marked).toEqual([])
  })
})
