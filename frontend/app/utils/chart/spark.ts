export interface SparkPaths {
  line: string
  area: string
  /** Where the newest value is, in the box; `null` without one. */
  end: { x: number, y: number } | null
}

export interface SparkBox {
  width: number
  height: number
  startMs: number
  endMs: number
  /** The value at the top edge; the bottom is 0. */
  top: number
  gapMs: number
}

const PAD = 2

/** SVG paths of a small line; it breaks at gaps and at missing values. */
export function sparkPaths(times: readonly number[], values: readonly (number | null)[], box: SparkBox): SparkPaths {
  const span = Math.max(1, box.endMs - box.startMs)
  const top = box.top > 0 ? box.top : 1
  const x = (time: number) => round((time - box.startMs) / span * box.width)
  const y = (value: number) => round(box.height - PAD - Math.min(1, Math.max(0, value / top)) * (box.height - 2 * PAD))
  let line = ''
  let area = ''
  let from: number | null = null
  let previous: { time: number, x: number, y: number } | null = null
  const close = () => {
    if (previous !== null && from !== null) area += `L${previous.x} ${box.height}L${from} ${box.height}Z`
    from = null
    previous = null
  }
  times.forEach((time, i) => {
    const value = values[i] ?? null
    if (value === null || time < box.startMs) return
    if (previous !== null && time - previous.time > box.gapMs) close()
    const point = { time, x: x(time), y: y(value) }
    const command = previous === null ? 'M' : 'L'
    if (previous === null) from = point.x
    line += `${command}${point.x} ${point.y}`
    area += `${command}${point.x} ${point.y}`
    previous = point
  })
  const last = previous as { x: number, y: number } | null
  const end = last && { x: last.x, y: last.y }
  close()
  return { line, area, end }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
