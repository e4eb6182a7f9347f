// Lines one on top of the other.
import type { Cell } from './align'
import { cellNear } from './model'
import type { ChartModel } from './model'

/** The indexes of the lines that are stacked, from bottom to top. */
export function stackedLines(model: ChartModel, hidden: ReadonlySet<string>): number[] {
  return model.lines.flatMap((line, i) => (line.isEarlier || hidden.has(line.key) ? [] : [i]))
}

/** Per line the sum of itself and all below it; those that are not stacked stay as they are. */
export function stackValues(model: ChartModel, hidden: ReadonlySet<string>): Cell[][] {
  const sums = new Array<number>(model.times.length).fill(0)
  const stacked = new Set(stackedLines(model, hidden))
  return model.lines.map((line, i) => {
    if (!stacked.has(i)) return line.values
    return model.times.map((_, index) => {
      const value = cellNear(line.values, model.times, index, model.gapMs)
      if (value === null) return null
      sums[index]! += value
      return sums[index]
    })
  })
}
