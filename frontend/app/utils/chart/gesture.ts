// Moving and zooming the time axis by hand.

export type TimeRange = [fromMs: number, toMs: number]

// Closer than this, there is nothing between two samples.
const SHORTEST_MS = 10_000

/** `share`: of the width, to the right. */
export function panned([from, to]: TimeRange, share: number): TimeRange {
  const moveMs = (to - from) * share
  return [from - moveMs, to - moveMs]
}

/** The time at `anchor` (a share of the width) stays where it is. `factor` > 1 shows a longer time. */
export function zoomed([from, to]: TimeRange, anchor: number, factor: number): TimeRange {
  const length = Math.max(SHORTEST_MS, (to - from) * factor)
  const still = from + (to - from) * anchor
  return [still - length * anchor, still + length * (1 - anchor)]
}

/** The range moved, and shortened if it must be, so that it lies within the bounds. */
export function within([from, to]: TimeRange, [first, last]: TimeRange): TimeRange {
  const length = Math.min(to - from, last - first)
  const start = Math.min(Math.max(from, first), last - length)
  return [start, start + length]
}

/** Two fingers: what lay under each of them stays there. Shares of the width; `null`: they are too close to tell. */
export function pinched(range: TimeRange, before: readonly [number, number], after: readonly [number, number]): TimeRange | null {
  const spread = Math.abs(after[1] - after[0])
  if (spread < 0.02) return null
  const middle = (before[0] + before[1]) / 2
  const moved = (after[0] + after[1]) / 2 - middle
  return panned(zoomed(range, middle, Math.abs(before[1] - before[0]) / spread), moved)
}
