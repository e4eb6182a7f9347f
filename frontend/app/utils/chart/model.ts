// Turns a fetched history into what the chart, its legend, its tooltip and its table show.
import type { DisplayUnit } from '../format'
import { scaleFactor } from '../views'
import type { ChartView } from '../views'
import { alignSeries, gapThreshold } from './align'
import type { Cell } from './align'
import { PALETTE, lineStyles } from './colors'
import type { Theme } from './colors'
import { rangeStart } from './range'
import type { HistoryData, SeriesData } from './series'

export interface ChartLine {
  key: string
  name: string
  color: string
  dash: readonly number[]
  values: Cell[]
  min: Cell[] | null
  max: Cell[] | null
  /** Whether it shows an earlier time, for comparison. */
  isEarlier: boolean
}

/** An earlier time to compare with, moved to the present. */
export interface Earlier {
  series: readonly SeriesData[]
  /** The name of a line at that time. */
  nameOf: (name: string) => string
}

export interface ChartModel {
  times: number[]
  lines: ChartLine[]
  unit: DisplayUnit
  startMs: number
  endMs: number
  stepMs: number | null
  gapMs: number
}

export interface ModelOptions {
  view: ChartView
  cores: number
  intervalMs: number
  rangeMs: number
  /** When the server was first seen; the chart does not start before that. */
  firstSeenMs: number
  theme: Theme
  nameOf: (metric: string, labels: Record<string, string>) => string
  earlier?: Earlier | null
}

export function buildModel(data: HistoryData, options: ModelOptions): ChartModel {
  const { view, cores, intervalMs, rangeMs, firstSeenMs, theme, nameOf, earlier } = options
  const order = new Map(view.metrics.map((metric, i) => [metric, i]))
  const series = data.series
    .filter(item => order.has(item.metric) && item.times.length > 0)
    .filter(item => !view.excludedModes?.includes(item.labels.mode ?? ''))
    .sort((a, b) => order.get(a.metric)! - order.get(b.metric)! || modeOrder(a) - modeOrder(b) || a.key.localeCompare(b.key, 'en', { numeric: true }))
  const gapMs = gapThreshold(data.stepMs, intervalMs)
  const keys = new Set(series.map(item => item.key))
  const { times, lines } = drawLines(series, {
    gapMs, theme,
    nameOf: item => nameOf(item.metric, item.labels),
    scaleOf: item => scaleFactor(view, item.metric, cores),
    earlier: earlier && { ...earlier, series: earlier.series.filter(item => keys.has(item.key)) },
  })
  // An agent may have sent what it sampled before the API server knew its server.
  const beginsMs = Math.min(firstSeenMs, ...series.map(item => item.times[0]!))
  return { times, lines, unit: view.unit, startMs: rangeStart(data.endMs, rangeMs, beginsMs), endMs: data.endMs, stepMs: data.stepMs, gapMs }
}

export interface LineOptions {
  gapMs: number
  theme: Theme
  nameOf: (item: SeriesData) => string
  scaleOf?: (item: SeriesData) => number
  earlier?: Earlier | null
}

// A line of an earlier time has the colour of the present one.
const EARLIER_DASH: readonly number[] = [1, 3]

/** Series as lines on one time axis, followed by those of an earlier time. */
export function drawLines(series: readonly SeriesData[], { gapMs, theme, nameOf, scaleOf, earlier }: LineOptions): { times: number[], lines: ChartLine[] } {
  const before = earlier?.series ?? []
  const { times, lines } = alignSeries([...series, ...before], gapMs, scaleOf)
  const styles = lineStyles([...series, ...before.filter(item => !series.some(({ key }) => key === item.key))])
  const toLine = (item: SeriesData, index: number, isEarlier: boolean): ChartLine => {
    const { color, dash } = styles.get(item.key)!
    const { values, min, max } = lines[index]!
    return {
      key: isEarlier ? `earlier ${item.key}` : item.key,
      name: isEarlier ? earlier!.nameOf(nameOf(item)) : nameOf(item),
      color: PALETTE[theme][color]!,
      dash: isEarlier ? EARLIER_DASH : dash,
      values, min, max, isEarlier,
    }
  }
  return { times, lines: [...series.map((item, i) => toLine(item, i, false)), ...before.map((item, i) => toLine(item, series.length + i, true))] }
}

// The most interesting modes of CPU time come first.
const MODE_ORDER = ['user', 'system', 'iowait', 'steal']

function modeOrder(series: SeriesData): number {
  const index = MODE_ORDER.indexOf(series.labels.mode ?? '')
  return index < 0 ? MODE_ORDER.length : index
}

/** The value at an index. If only other lines have a value there, the nearest value within `gapMs`. */
export function cellNear(cells: readonly Cell[], times: readonly number[], index: number, gapMs: number): number | null {
  const exact = cells[index]
  if (exact !== undefined) return exact
  const time = times[index]!
  for (let distance = 1; distance < times.length; distance++) {
    const before = index - distance
    const after = index + distance
    const beforeNear = before >= 0 && time - times[before]! <= gapMs
    const afterNear = after < times.length && times[after]! - time <= gapMs
    if (!beforeNear && !afterNear) return null
    const cell = (beforeNear ? cells[before] : undefined) ?? (afterNear ? cells[after] : undefined)
    if (cell !== undefined && cell !== null) return cell
  }
  return null
}

export function lastValue(cells: readonly Cell[]): number | null {
  for (let i = cells.length - 1; i >= 0; i--) {
    const cell = cells[i]
    if (cell !== undefined && cell !== null) return cell
  }
  return null
}

/** The indexes at which any line has a value. */
export function filledIndexes(model: ChartModel): number[] {
  return model.times.map((_, i) => i).filter(i => model.lines.some(line => typeof line.values[i] === 'number'))
}

export interface LineSummary { key: string, lowest: number | null, mean: number | null, highest: number | null }

export function summarize(line: ChartLine): LineSummary {
  const numbers = (cells: readonly Cell[]) => cells.filter((cell): cell is number => typeof cell === 'number')
  const values = numbers(line.values)
  const lows = numbers(line.min ?? line.values)
  const highs = numbers(line.max ?? line.values)
  return {
    key: line.key,
    lowest: lows.length === 0 ? null : lows.reduce((a, b) => Math.min(a, b)),
    mean: values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length,
    highest: highs.length === 0 ? null : highs.reduce((a, b) => Math.max(a, b)),
  }
}
