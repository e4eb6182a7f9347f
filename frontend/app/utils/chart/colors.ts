import { seriesKey } from './series'

/** The Okabe-Ito hues, which are safe for colour-blind people, adjusted to a contrast of 3:1 on the surface of each theme. */
export const PALETTE = {
  light: ['#c2410c', '#0369a1', '#047857', '#a16207', '#7c3aed', '#be185d', '#0e7490', '#475569'],
  dark: ['#fb923c', '#60a5fa', '#34d399', '#fde047', '#a78bfa', '#f472b6', '#67e8f9', '#cbd5e1'],
} as const

export type Theme = keyof typeof PALETTE

const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3]]

// With more lines than this, dashes tell nothing apart any more, and take long to draw.
const MOST_DASHED = DASHES.length * PALETTE.light.length

// Found by a search: with this seed the lines of each default chart have different colours (see tests/unit/colors.test.ts).
const COLOR_SEED = 3_494_200

// FNV-1a followed by the finalizer of MurmurHash3, because the low bits of FNV-1a alone depend mostly on the last letters.
function hash(text: string, seed: number): number {
  let value = (0x811C9DC5 ^ seed) >>> 0
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  }
  value = Math.imul(value ^ (value >>> 16), 0x85EBCA6B)
  value = Math.imul(value ^ (value >>> 13), 0xC2B2AE35)
  return (value ^ (value >>> 16)) >>> 0
}

/** Depends on the series only, so a line has the same colour on every page and after a reload. */
export function colorIndex(metric: string, labels: Record<string, string>, seed = COLOR_SEED): number {
  return hash(seriesKey(metric, labels), seed) % PALETTE.light.length
}

export interface LineStyle {
  color: number
  dash: readonly number[]
}

/** If lines share a colour, the first is solid, the second dashed and the third dotted, unless there are very many; so pass the most important series first. */
export function lineStyles(series: readonly { key: string, metric: string, labels: Record<string, string> }[]): Map<string, LineStyle> {
  const used = new Map<number, number>()
  const styles = new Map<string, LineStyle>()
  for (const item of series) {
    const color = colorIndex(item.metric, item.labels)
    const count = used.get(color) ?? 0
    used.set(color, count + 1)
    styles.set(item.key, { color, dash: series.length > MOST_DASHED ? [] : DASHES[count % DASHES.length]! })
  }
  return styles
}
