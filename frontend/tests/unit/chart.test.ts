import { describe, expect, it } from 'vitest'
import type { CurrentSeries } from '~/api/metrics'
import { alignSeries, findGaps, gapThreshold, thinIndexes } from '~/utils/chart/align'
import { appendFrame } from '~/utils/chart/append'
import { buildModel, cellNear, filledIndexes, summarize } from '~/utils/chart/model'
import { plotData, showsBands, yRange } from '~/utils/chart/plot'
import { rangeStart } from '~/utils/chart/range'
import { seriesKey, sumSeries } from '~/utils/chart/series'
import type { HistoryData, SeriesData } from '~/utils/chart/series'
import { sparkPaths } from '~/utils/chart/spark'
import { VIEWS } from '~/utils/views'

function line(metric: string, times: number[], values: (number | null)[], labels: Record<string, string> = {}, bucketed = false): SeriesData {
  return { key: seriesKey(metric, labels), metric, labels, times, values, min: bucketed ? values : null, max: bucketed ? values : null, newestMs: bucketed ? 70 : times.at(-1) ?? 0 }
}

function gauge(metric: string, value: number | null): CurrentSeries {
  return { metric, labels: {}, type: 'cpu', unit: 'ratio', kind: 'gauge', value, rate: null }
}

it('gives a series the same key for any order of its labels', () => {
  expect(seriesKey('m', { b: '2', a: '1' })).toBe('m{a="1",b="2"}')
  expect(seriesKey('m', {})).toBe('m')
})

describe('gaps', () => {
  it('ignore one missing frame and show two', () => {
    const threshold = gapThreshold(null, 10)
    expect(findGaps([0, 10, 20, 40, 50], threshold)).toEqual([])
    expect(findGaps([0, 10, 50, 60], threshold)).toEqual([11])
  })
  it('show a single missing bucket', () => expect(findGaps([0, 60, 180], gapThreshold(60, 10))).toEqual([61]))
})

describe('alignment', () => {
  it('marks gaps with null and times of other lines with undefined', () => {
    const { times, lines } = alignSeries([line('a', [0, 10, 60], [1, 2, 3]), line('b', [0, 5, 10], [4, 5, 6])], 30)
    expect(times).toEqual([0, 5, 10, 11, 60])
    expect(lines[0]!.values).toEqual([1, undefined, 2, null, 3])
    expect(lines[1]!.values).toEqual([4, 5, 6, undefined, undefined])
  })
  it('keeps missing values and scales the others', () => {
    const { lines } = alignSeries([line('a', [0, 1], [null, 2], {}, true)], 10, () => 8)
    expect(lines[0]).toMatchObject({ values: [null, 16], min: [null, 16], max: [null, 16] })
  })
  it('is empty without series', () => expect(alignSeries([], 1)).toEqual({ times: [], lines: [] }))
})

describe('appending a live frame', () => {
  const metrics = new Set(['a'])
  const raw: HistoryData = { startMs: 0, endMs: 20, stepMs: null, series: [line('a', [0, 10, 20], [1, 2, 3])] }

  it('adds the value, drops values before the range and does not change the old history', () => {
    const next = appendFrame(raw, { timeMs: 30, intervalMs: 10, series: [gauge('a', 4), gauge('other', 9)] }, metrics, 20)
    expect(next).toMatchObject({ startMs: 10, endMs: 30 })
    expect(next.series).toHaveLength(1)
    expect(next.series[0]).toMatchObject({ times: [10, 20, 30], values: [2, 3, 4] })
    expect(raw.series[0]!.times).toEqual([0, 10, 20])
  })
  it('ignores a frame that is not newer', () => {
    expect(appendFrame(raw, { timeMs: 20, intervalMs: 10, series: [gauge('a', 9)] }, metrics, 20)).toBe(raw)
  })
  it('uses the rate of a counter', () => {
    const counter: CurrentSeries = { ...gauge('a', 1e9), kind: 'counter', rate: 7 }
    expect(appendFrame(raw, { timeMs: 30, intervalMs: 10, series: [counter] }, metrics, 100).series[0]!.values.at(-1)).toBe(7)
  })
  it('adds a missing value as null', () => {
    expect(appendFrame(raw, { timeMs: 30, intervalMs: 10, series: [gauge('a', null)] }, metrics, 100).series[0]!.values.at(-1)).toBeNull()
  })
  it('adds a series that is new', () => {
    const next = appendFrame({ ...raw, series: [] }, { timeMs: 30, intervalMs: 10, series: [gauge('a', 1)] }, metrics, 100)
    expect(next.series[0]).toMatchObject({ key: 'a', times: [30], values: [1], min: null })
  })

  it('takes a frame that was on its way while the history was read', () => {
    const fetched = { ...raw, endMs: 29 }
    expect(appendFrame(fetched, { timeMs: 25, intervalMs: 10, series: [gauge('a', 4)] }, metrics, 100).series[0]).toMatchObject({ times: [0, 10, 20, 25] })
  })
  it('takes all frames of one time, each with other series', () => {
    const both = new Set(['a', 'b'])
    const first = appendFrame(raw, { timeMs: 30, intervalMs: 10, series: [gauge('a', 4)] }, both, 100)
    const second = appendFrame(first, { timeMs: 30, intervalMs: 10, series: [gauge('b', 5)] }, both, 100)
    expect(second.series.map(item => item.times.at(-1))).toEqual([30, 30])
    expect(appendFrame(second, { timeMs: 30, intervalMs: 10, series: [gauge('a', 4)] }, both, 100)).toBe(second)
  })

  const bucketed: HistoryData = { startMs: 0, endMs: 70, stepMs: 60, series: [line('a', [0, 60], [1, 2], {}, true)] }
  it('merges the value into the newest bucket, weighted by the number of samples it should hold', () => {
    const next = appendFrame(bucketed, { timeMs: 80, intervalMs: 10, series: [gauge('a', 5)] }, metrics, 600)
    expect(next.series[0]).toMatchObject({ times: [0, 60], values: [1, 3], min: [1, 2], max: [1, 5] })
  })
  it('starts the next bucket at its aligned start', () => {
    const next = appendFrame(bucketed, { timeMs: 125, intervalMs: 10, series: [gauge('a', 5)] }, metrics, 600)
    expect(next.series[0]).toMatchObject({ times: [0, 60, 120], values: [1, 2, 5], min: [1, 2, 5], max: [1, 2, 5] })
  })
  it('starts no bucket for a missing value', () => {
    expect(appendFrame(bucketed, { timeMs: 125, intervalMs: 10, series: [gauge('a', null)] }, metrics, 600).series[0]!.times).toEqual([0, 60])
  })
})

describe('the chart model', () => {
  const view = VIEWS.cpu[0]
  const options = { view, cores: 4, intervalMs: 10, rangeMs: 100, firstSeenMs: 0, theme: 'dark' as const, nameOf: (metric: string, labels: Record<string, string>) => labels.mode ?? metric }
  const data: HistoryData = {
    startMs: 0, endMs: 100, stepMs: null,
    series: [
      line('cpu_time_seconds_total', [0, 10], [2, 4], { mode: 'user' }), line('cpu_time_seconds_total', [0], [1], { mode: 'idle' }),
      line('cpu_usage_ratio', [0, 10], [0.5, 1]), line('load_1m', [0], [3]), line('cpu_time_seconds_total', [], [], { mode: 'steal' }),
    ],
  }
  it('keeps the order of the metrics, divides by the cores, and leaves out idle, empty and unrelated series', () => {
    const model = buildModel(data, options)
    expect(model.lines.map(item => [item.name, item.values])).toEqual([['cpu_usage_ratio', [0.5, 1]], ['user', [0.5, 1]]])
    expect(model.startMs).toBe(0)
  })
  it('starts when the server was first seen, but covers at least two minutes', () => {
    expect(rangeStart(1_000_000, 900_000, 0)).toBe(100_000)
    expect(rangeStart(1_000_000, 900_000, 600_000)).toBe(600_000)
    expect(rangeStart(1_000_000, 900_000, 990_000)).toBe(880_000)
  })
  it('summarizes a line', () => {
    expect(summarize(buildModel(data, options).lines[0]!)).toMatchObject({ lowest: 0.5, mean: 0.75, highest: 1 })
  })
  it('lists the indexes that have a value', () => {
    const gap = buildModel({ ...data, series: [line('cpu_usage_ratio', [0, 90], [1, 1])] }, options)
    expect(gap.times).toEqual([0, 1, 90])
    expect(filledIndexes(gap)).toEqual([0, 2])
  })
})

describe('the cell under the crosshair', () => {
  it('is the exact value, a gap, or the nearest value within reach', () => {
    const times = [0, 5, 10, 100]
    expect(cellNear([1, undefined, 3, undefined], times, 0, 30)).toBe(1)
    expect(cellNear([1, null, 3, undefined], times, 1, 30)).toBeNull()
    expect(cellNear([1, undefined, 3, undefined], times, 1, 30)).toBe(1)
    expect(cellNear([1, undefined, 3, undefined], times, 3, 30)).toBeNull()
  })
})

it('sums the series of some metrics at each time', () => {
  const series = [line('a', [0, 10], [1, 2], { d: 'x' }), line('a', [10, 20], [3, null], { d: 'y' }), line('b', [0], [100])]
  expect(sumSeries(series, ['a'])).toEqual({ times: [0, 10], values: [1, 5] })
})

it('spreads table rows evenly and keeps both ends', () => {
  expect(thinIndexes(3, 5)).toEqual([0, 1, 2])
  expect(thinIndexes(101, 5)).toEqual([0, 25, 50, 75, 100])
})

it('scales the value axis from zero; small ratios look small', () => {
  expect(yRange('ratio', 0.001)).toEqual([0, 0.05])
  expect(yRange('ratio', 0.99)).toEqual([0, 1])
  expect(yRange('bytes', null)).toEqual([0, 1])
  expect(yRange('bytes', 100)).toEqual([0, 108])
})

describe('the sparkline of a card', () => {
  const box = { width: 100, height: 20, startMs: 0, endMs: 100, top: 1, gapMs: 15 }
  it('breaks at gaps and at missing values', () => {
    const { line: path } = sparkPaths([0, 10, 50, 60, 70], [0, 1, 0.5, null, 0.5], box)
    expect(path).toBe('M0 18L10 2M50 10M70 10')
  })
  it('is empty without values', () => expect(sparkPaths([], [], box)).toEqual({ line: '', area: '' }))
  it('stays in its box', () => expect(sparkPaths([0, 10], [5, -1], box).line).toBe('M0 2L10 18'))
})

it('shows what an agent sampled before its server was known', () => {
  const END = 1_790_000_000_000
  const startOf = (times: number[]) => buildModel(
    { startMs: END - 3_600_000, endMs: END, stepMs: null, series: [{ key: 'load_1m', metric: 'load_1m', labels: {}, times, values: times.map(() => 1), min: null, max: null, newestMs: END }] },
    { view: VIEWS.cpu[2]!, cores: 1, intervalMs: 10_000, rangeMs: 3_600_000, firstSeenMs: END - 600_000, theme: 'dark', nameOf: metric => metric },
  ).startMs
  expect(startOf([END - 600_000, END])).toBe(END - 600_000)
  expect(startOf([END - 1_800_000, END])).toBe(END - 1_800_000)
  expect(startOf([END - 7_200_000, END])).toBe(END - 3_600_000)
  expect(startOf([])).toBe(END - 600_000)
})

describe('a stack', () => {
  const data: HistoryData = { startMs: 0, endMs: 30, stepMs: null, series: [
    line('memory_used_bytes', [0, 10, 20], [1, 2, 3]), line('memory_cached_bytes', [5, 15, 25], [10, 20, 30]), line('memory_available_bytes', [0, 10, 20], [100, null, 300]),
  ] }
  const model = buildModel(data, {
    view: VIEWS.memory[0], cores: 1, intervalMs: 10, rangeMs: 30, firstSeenMs: 0, theme: 'light', nameOf: metric => metric,
    earlier: { series: [line('memory_used_bytes', [0, 10, 20], [7, 7, 7]), line('memory_gone_bytes', [0], [1])], nameOf: name => `${name} then` },
  })

  it('adds up what lies below, also of lines that have values at other times', () => {
    const [times, used, cached, available, then] = plotData(model, 'stack', new Set())
    expect(times).toEqual([0, 5, 10, 15, 20, 25])
    expect(used).toEqual([1, 1, 2, 2, 3, 3])
    expect(cached).toEqual([11, 11, 12, 22, 23, 33])
    expect([available![0], available![2], available![4]]).toEqual([111, null, 323])
    // An earlier time is no part of it, and what the view does not have any more is not drawn.
    expect(then).toEqual([7, undefined, 7, undefined, 7, undefined])
    expect(model.lines).toHaveLength(4)
  })
  it('leaves out what is hidden', () => {
    const [, used, cached] = plotData(model, 'stack', new Set(['memory_used_bytes']))
    expect(used).toEqual([1, undefined, 2, undefined, 3, undefined])
    expect(cached).toEqual([10, 10, 10, 20, 20, 30])
  })
  it('has no bands', () => {
    const bucketed = { ...model, lines: model.lines.map(item => ({ ...item, min: [0], max: [1] })) }
    expect([showsBands(bucketed, 'lines'), showsBands(bucketed, 'stack')]).toEqual([true, false])
  })
})
