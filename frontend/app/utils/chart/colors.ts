import { seriesKey } from './series'

/** Okabe-Ito's hues (told apart with every kind of colour blindness), darkened or lightened to 3:1 on the surface of each theme. */
export const PALETTE = {
  light: ['#c2410c', '#0369a1', '#047857', '#a16207', '#7c3aed', '#be185d', '#0e7490', '#475569'],
  dark: ['#fb923c', '#60a5fa', '#34d399', '#fde047', '#a78bfa', '#f472b6', '#67e8f9', '#cbd5e1'],
} as const

export type Theme = keyof typeof PALETTE

const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3]]

// Chosen by a search (tests/unit/colors.test.ts says for what): with this seed the lines of each default chart differ in colour.
const COLOR_SEED = 3_494_200

/**
 * FNV-1a with the finish of MurmurHash3 (the low bits of FNV alone follow the last letters): small, and the same in every browser for
 * ever, which is all that a stable colour needs.
 */
function hash(text: string, seed: number): number {
  let value = (0x811C9DC5 ^ seed) >>> 0
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  }
  value = Math.imul(value ^ (value >>> 16), 0x85EBCA6B)
  value = Math.imul(value ^ (value >>> 13), 0xC2B2AE35)
  return (value ^ (value >>> 16)) >>> 0
}

/** The place in the palette depends on nothing but the series, so a line keeps its colour on every page and after a reload. */
export function colorIndex(metric: string, labels: Record<string, string>, seed = COLOR_SEED): number {
  return hash(seriesKey(metric, labels), seed) % PALETTE.light.length
}

export interface LineStyle {
  color: number
  dash: readonly number[]
}

/** Two lines of one chart may share a colour; the second one is dashed then, the third dotted, in the order given: what matters most stays solid. */
export function lineStyles(series: readonly { key: string, metric: string, labels: Record<string, string> }[]): Map<string, LineStyle> {
  const used = new Map<number, number>()
  const styles = new Map<string, LineStyle>()
  for (const item of series) {
    const color = colorIndex(item.metric, item.labels)
    const count = used.get(color) ?? 0
    used.set(color, count + 1)
    styles.set(item.key, { color, dash: DASHES[count % DASHES.length]! })
  }
  return styles
}
