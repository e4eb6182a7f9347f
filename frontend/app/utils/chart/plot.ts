// uPlot's data and options for a chart model.
import type uPlot from 'uplot'
import { formatAxisTime, formatAxisValue } from '../format'
import type { DisplayUnit } from '../format'
import type { Locale } from '../languages'
import type { Cell } from './align'
import type { Theme } from './colors'
import type { ChartModel } from './model'
import { stackValues, stackedLines } from './stack'
import type { ThresholdLine } from '../thresholds'

// The bands of more lines would cover each other.
const MAX_BANDS = 10
const FONT = '12px "Pretendard Variable", Pretendard, system-ui, sans-serif'
const INK: Record<Theme, { text: string, grid: string, page: string }> = {
  light: { text: '#475569', grid: '#e8edf3', page: '#ffffff' },
  dark: { text: '#9fadc1', grid: '#1c263b', page: '#121a2b' },
}
const THRESHOLD_INK: Record<Theme, Record<ThresholdLine['severity'], string>> = {
  light: { critical: '#b91c1c', warning: '#a16207', info: '#0369a1' },
  dark: { critical: '#f87171', warning: '#fbbf24', info: '#60a5fa' },
}
const THRESHOLD_FONT_PX = 11
const THRESHOLD_NAME_PX = 15
const THRESHOLD_LETTERS = 40
// Powers of two are round numbers of bytes: 1, 2, 4 ... 512 of each unit from B to PiB.
const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power)
const LINE_WIDTH = 1.5
const BAND_ALPHA = '26'
const STACK_ALPHA = '59'
const AREA_ALPHA = '2e'
// The first line of a view is its most important one.
const FIRST_LINE_WIDTH = 2
const POINT_BORDER = 2
// Thin lines are easier to follow among many, and quicker to draw.
const MANY_LINES = 24
const MANY_LINES_WIDTH = 1
// Between the plot and the times of the axis: the markers of events, always, so that nothing moves when one appears.
const MARKER_LANE = 20

/** `area`: filled down to zero. `log`: on a logarithmic scale. `stack`: one on top of the other. */
export type Drawing = 'lines' | 'area' | 'stack' | 'log'
/** The ends of the axis of values; `null`: as the values are. */
export type Bounds = readonly [low: number | null, high: number | null]

export interface PlotContext {
  model: ChartModel
  hidden: ReadonlySet<string>
  theme: Theme
  locale: Locale
  width: number
  height: number
  xRange: () => [number, number]
  /** Charts with the same key show the crosshair at the same time. */
  syncKey?: string
  drawing: Drawing
  bounds: Bounds
  thresholds: () => readonly ThresholdLine[]
  /** Days on the axis begin at midnight in this zone. @default the browser's */
  timeZone?: string
  onCursor: (plot: uPlot) => void
  onSelect: (fromMs: number, toMs: number) => void
  onReset: () => void
  onDraw: (plot: uPlot) => void
}

export function showsBands(model: ChartModel, drawing: Drawing): boolean {
  return drawing !== 'stack' && model.lines.length <= MAX_BANDS && model.lines.some(line => line.min !== null)
}

/** The lines, followed by the lower and upper edge of each line's band. */
export function plotData(model: ChartModel, drawing: Drawing, hidden: ReadonlySet<string>): uPlot.AlignedData {
  const columns = drawing === 'stack' ? stackValues(model, hidden) : model.lines.map(line => line.values)
  if (showsBands(model, drawing)) for (const line of model.lines) columns.push(line.min ?? [], line.max ?? [])
  return [model.times, ...columns] as uPlot.AlignedData
}

export function plotOptions(context: PlotContext): uPlot.Options {
  const { model, hidden, theme, locale, width, height, drawing, timeZone } = context
  const ink = INK[theme]
  const bands = showsBands(model, drawing)
  const stack = drawing === 'stack' ? stackedLines(model, hidden) : []
  const edge = (key: string): uPlot.Series => ({ show: !hidden.has(key), stroke: 'transparent', width: 0, points: { show: false } })
  return {
    width,
    height,
    ms: 1,
    tzDate: timeZone === undefined ? undefined : time => zonedDate(time, timeZone),
    // Room for half of the last time on the axis.
    padding: [12, 22, 0, 0],
    legend: { show: false },
    focus: { alpha: 1 },
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      points: { size: 8, width: POINT_BORDER, stroke: (_, i) => model.lines[i - 1]?.color ?? '', fill: () => ink.page, show: cursorPoint(model.lines.length) },
      sync: context.syncKey === undefined ? undefined : { key: context.syncKey, setSeries: false },
      bind: {
        dblclick: () => () => { context.onReset(); return null },
        // With shift, the axis moves instead.
        mousedown: (_plot, _target, handler) => event => (event.shiftKey ? null : handler(event)),
      },
    },
    scales: {
      x: { time: true, range: () => context.xRange() },
      // uPlot finds a range of powers of ten for a logarithmic axis itself.
      y: drawing === 'log' ? { distr: 3 } : { range: (_, min, max) => bounded(yRange(model.unit, max, min), context.bounds) },
    },
    axes: [
      {
        stroke: ink.text, font: FONT, size: MARKER_LANE + 22, gap: MARKER_LANE,
        grid: { stroke: ink.grid, width: 1 }, ticks: { show: false },
        space: 64,
        values: (_, splits) => splits.map(split => formatAxisTime(split, (splits[1] ?? 0) - (splits[0] ?? 0), locale, timeZone)),
      },
      {
        stroke: ink.text, font: FONT, gap: 8,
        grid: { stroke: ink.grid, width: 1 }, ticks: { show: false },
        space: 40,
        incrs: model.unit === 'bytes' || model.unit === 'bytes_per_second' ? BINARY_STEPS : undefined,
        // On a logarithmic axis, most lines have no number: there, uPlot passes null.
        values: (_, splits: (number | null)[]) => splits.map(split => (split === null ? '' : formatAxisValue(split, model.unit, locale))),
        size: (_, values) => Math.max(44, ...(values ?? []).map(value => value.length * 7 + 16)),
      },
    ],
    series: [
      {},
      ...model.lines.map((line, i): uPlot.Series => ({
        label: line.name,
        show: !hidden.has(line.key),
        stroke: line.color,
        width: model.lines.length > MANY_LINES ? MANY_LINES_WIDTH : i === 0 ? FIRST_LINE_WIDTH : LINE_WIDTH,
        dash: [...line.dash],
        fill: i === stack[0] ? line.color + STACK_ALPHA : drawing === 'area' && !line.isEarlier ? line.color + AREA_ALPHA : undefined,
        points: { show: isolatedPoints, size: 4, fill: line.color },
      })),
      ...(bands ? model.lines.flatMap(line => [edge(line.key), edge(line.key)]) : []),
    ],
    bands: bands
      ? model.lines.map((line, i) => ({
          series: [model.lines.length + 2 * i + 2, model.lines.length + 2 * i + 1] as [number, number],
          fill: line.color + BAND_ALPHA,
        }))
      : stack.slice(1).map((line, below) => ({ series: [line + 1, stack[below]! + 1] as [number, number], fill: model.lines[line]!.color + STACK_ALPHA })),
    hooks: {
      setCursor: [context.onCursor],
      draw: [plot => drawThresholds(plot, context.thresholds(), theme), context.onDraw],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return
        const { left, width: selected } = plot.select
        context.onSelect(plot.posToVal(left, 'x'), plot.posToVal(left + selected, 'x'))
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
      }],
    },
  }
}

/** A dashed line for each threshold that the axis reaches, with the name of its rule: the axis follows the values, not the thresholds. */
function drawThresholds(plot: uPlot, thresholds: readonly ThresholdLine[], theme: Theme): void {
  const { ctx, bbox: { left, top, width, height } } = plot
  const scale = plot.bbox.width / Math.max(1, plot.over.clientWidth)
  ctx.save()
  ctx.lineWidth = scale
  ctx.setLineDash([6 * scale, 4 * scale])
  ctx.font = `${THRESHOLD_FONT_PX * scale}px ${FONT.slice(FONT.indexOf(' ') + 1)}`
  ctx.textAlign = 'right'
  let above = -Infinity
  for (const { value, severity, rule } of [...thresholds].sort((a, b) => b.value - a.value)) {
    const y = plot.valToPos(value, 'y', true)
    if (!Number.isFinite(y) || y < top || y > top + height) continue
    ctx.strokeStyle = ctx.fillStyle = THRESHOLD_INK[theme][severity]
    ctx.beginPath()
    ctx.moveTo(left, y)
    ctx.lineTo(left + width, y)
    ctx.stroke()
    const name = rule.length > THRESHOLD_LETTERS ? `${rule.slice(0, THRESHOLD_LETTERS - 1)}…` : rule
    // A name that would cover the one above it goes below its line.
    const isTight = y - above < THRESHOLD_NAME_PX * scale
    ctx.textBaseline = isTight ? 'top' : 'bottom'
    ctx.fillText(name, left + width - 4 * scale, y + (isTight ? 3 : -2) * scale)
    above = y
  }
  ctx.restore()
}

/**
 * A date whose local fields are those of a time zone, which is what uPlot places its ticks by. (uPlot.tzDate is the same, but importing it
 * here would bring uPlot into pages that show no chart.)
 */
function zonedDate(timeMs: number, timeZone: string): Date {
  const date = new Date(timeMs)
  const zoned = new Date(date.toLocaleString('en-US', { timeZone }))
  zoned.setMilliseconds(date.getMilliseconds())
  return zoned
}

/** From 0, or below the lowest value, to a little above the maximum. A ratio ends at 100 %, and at no less than 5 %, so that small values look small. */
export function yRange(unit: DisplayUnit, max: number | null, min: number | null = 0): [number, number] {
  if (min !== null && min < 0) return [min * 1.08, Math.max(0, max ?? 0) * 1.08]
  const top = max === null || !(max > 0) ? 0 : max * 1.08
  if (unit !== 'ratio') return [0, top > 0 ? top : 1]
  return [0, top > 0.9 ? Math.max(1, max ?? 0) : Math.max(0.05, top)]
}

/** An end that would leave no room between the two does not count. */
function bounded([low, high]: [number, number], bounds: Bounds): [number, number] {
  const [from, to] = [bounds[0] ?? low, bounds[1] ?? high]
  return from < to ? [from, to] : [low, high]
}

// Band edges have no cursor point.
function cursorPoint(lines: number): (plot: uPlot, index: number) => HTMLElement {
  return (_, index) => {
    const point = document.createElement('div')
    if (index > lines) {
      point.hidden = true
      return point
    }
    point.style.borderWidth = `${POINT_BORDER}px`
    return point
  }
}

// A single value draws no line, so it needs a point.
function isolatedPoints(plot: uPlot, seriesIndex: number): boolean {
  const values = plot.data[seriesIndex] as Cell[] | undefined
  return values !== undefined && values.filter(value => typeof value === 'number').length === 1
}
