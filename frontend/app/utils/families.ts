// All current series of a server, by the family that the catalog names: also those of collectors that this page knows nothing of.
import type { CatalogMetric } from '~/api/catalog'
import type { LiveSeries } from '~/api/metrics'
import { seriesKey } from './chart/series'
import type { Snapshot } from './readings'

export interface FamilyRow {
  key: string
  metric: string
  /** The labels as text, such as `sensor=Core 0`; empty without labels. */
  labels: string
  unit: string
  /** Of a counter: its growth per second. */
  value: number | null
  isRate: boolean
}

export interface FamilyGroup { family: string, rows: FamilyRow[] }

/** Metrics that are not in the catalog yet. */
const OTHER = 'other'

/** The families by name; in each the series by metric and labels. Words of `query` must all be in metric or labels. */
export function groupByFamily(snapshot: Snapshot, catalog: readonly CatalogMetric[], query: string): FamilyGroup[] {
  const families = new Map(catalog.map(({ metric, type }) => [metric, type]))
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const groups = new Map<string, FamilyRow[]>()
  for (const series of [...snapshot.byMetric.values()].flat()) {
    const row = toRow(series)
    const text = `${row.metric} ${row.labels}`.toLowerCase()
    if (!words.every(word => text.includes(word))) continue
    const family = families.get(series.metric) ?? OTHER
    const rows = groups.get(family)
    if (rows) rows.push(row)
    else groups.set(family, [row])
  }
  return [...groups]
    .map(([family, rows]) => ({ family, rows: rows.sort((a, b) => collator.compare(a.metric, b.metric) || collator.compare(a.labels, b.labels)) }))
    .sort((a, b) => a.family.localeCompare(b.family))
}

const collator = new Intl.Collator('en', { numeric: true })

function toRow({ metric, labels, unit, kind, value, rate }: LiveSeries): FamilyRow {
  const isRate = kind === 'counter'
  return {
    key: seriesKey(metric, labels),
    metric,
    labels: Object.entries(labels).map(([name, text]) => `${name}=${text}`).join(' '),
    unit,
    value: isRate ? rate : value,
    isRate,
  }
}
