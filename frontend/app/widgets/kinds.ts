// What every widget has in common: how it is made, and which form changes it.
import type { Widget, WidgetThreshold } from '~/api/dashboards'
import { STATISTICS } from '~/utils/sourceHistory'

export type KnownType = 'chart' | 'stat' | 'gauge' | 'top' | 'table' | 'heatmap' | 'servers' | 'alerts' | 'text' | 'clock'
export type WidgetOf<T extends KnownType> = Extract<Widget, { type: T }>
export type ConfigOf<T extends KnownType> = WidgetOf<T>['config']

/** A part of a form. Its label is `dashboards.field.KEY`, and that of an option `dashboards.option.KEY.VALUE`. */
export type Field<C>
  = | { kind: 'source', /** Whether several series make sense. */ single?: boolean }
    | { kind: 'servers' }
    | { kind: 'thresholds' }
    | { kind: 'select', key: keyof C & string, options: readonly string[] }
    | { kind: 'number', key: keyof C & string, /** What an empty field means. */ empty: number | null, whole?: boolean, most?: number }
    | { kind: 'flag', key: keyof C & string }
    | { kind: 'text', key: keyof C & string, long?: boolean }

export interface WidgetKind<T extends KnownType> {
  type: T
  icon: string
  /** At first, in cells. */
  size: { w: number, h: number }
  config: () => ConfigOf<T>
  fields: readonly Field<ConfigOf<T>>[]
}

export const STATISTIC_FIELD = { kind: 'select', key: 'statistic', options: STATISTICS } as const

export const emptySource = () => ({ metrics: [], servers: { names: [], tags: [] }, labels: [], combine: 'none' as const, by: '' })

/** The level of a value: that of the highest threshold that it reaches. */
export function levelOf(value: number | null, thresholds: readonly WidgetThreshold[] = []): 'ok' | 'warning' | 'critical' {
  if (value === null) return 'ok'
  const reached = thresholds.filter(threshold => value >= threshold.value).sort((a, b) => b.value - a.value)
  return reached[0]?.level ?? 'ok'
}
