export interface SparkPaths {
  line: string
  area: string
}

export interface SparkBox {
  width: number
  height: number
  startMs: number
  endMs: number
  /** The value at the top edge; the bottom edge is 0. */
  top: number
  gapMs: number
}

const PADDING = 2

/** SVG paths of a sparkline. The line breaks at gaps and at missing values. */
export function sparkPaths(times: readonly number[], values: readonly (number | null)[], box: SparkBox): SparkPaths {
  const span = Math.max(1, box.endMs - box.startMs)
  const top = box.top > 0 ? box.top : 1
  const x = (time: number) => round((time - box.startMs) / span * box.width)
  const y = (value: number) => round(box.height - PADDING - Math.min(1, Math.max(0, value / top)) * (box.height - 2 * PADDING))
  let line = ''
  let area = ''
  let first: { x: number } | null = null
  let previous: { time: number, x: number } | null = null
  const closeArea = () => {
    if (first !== null && previous !== null) area += `L${previous.x} ${box.height}L${first.x} ${box.height}Z`
    first = null
    previous = null
  }
  times.forEach((time, i) => {
    const value = values[i] ?? null
    if (value === null || time < box.startMs) return
    if (previous !== null && time - previous.time > box.gapMs) closeArea()
    const point = { time, x: x(time) }
    const command = `${first === null ? 'M' : 'L'}${point.x} ${y(value)}`
    line += command
    area += command
    first ??= point
    previous = point
  })
  closeArea()
  return { line, area }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
