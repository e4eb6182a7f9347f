// What the history panel can show: each family has a few views, each view is some metrics in one unit.
import type { DisplayUnit } from './format'

export const FAMILIES = ['cpu', 'memory', 'disk', 'network'] as const
export type Family = typeof FAMILIES[number]

export interface ChartView {
  id: string
  unit: DisplayUnit
  metrics: readonly string[]
  /** Modes of CPU time that are no line of this view. */
  withoutModes?: readonly string[]
  /** From the stored unit to the shown one. @default 'none' */
  scale?: 'none' | 'bits' | 'per-core'
}

/** Time of virtual machines; the kernel counts it in user and nice already. */
export const GUEST_MODES: readonly string[] = ['guest', 'guest_nice']

export const VIEWS: Record<Family, readonly [ChartView, ...ChartView[]]> = {
  cpu: [
    {
      id: 'usage', unit: 'ratio', metrics: ['cpu_usage_ratio', 'cpu_time_seconds_total'],
      withoutModes: ['idle', ...GUEST_MODES], scale: 'per-core',
    },
    { id: 'cores', unit: 'ratio', metrics: ['cpu_core_usage_ratio'] },
    { id: 'load', unit: 'number', metrics: ['load_1m', 'load_5m', 'load_15m'] },
  ],
  memory: [
    { id: 'bytes', unit: 'bytes', metrics: ['memory_used_bytes', 'memory_cached_bytes', 'memory_available_bytes'] },
    { id: 'share', unit: 'ratio', metrics: ['memory_usage_ratio', 'swap_usage_ratio'] },
    { id: 'paging', unit: 'bytes_per_second', metrics: ['swap_in_bytes_total', 'swap_out_bytes_total'] },
  ],
  disk: [
    { id: 'throughput', unit: 'bytes_per_second', metrics: ['disk_read_bytes_total', 'disk_write_bytes_total'] },
    { id: 'space', unit: 'ratio', metrics: ['filesystem_usage_ratio'] },
    { id: 'operations', unit: 'per_second', metrics: ['disk_reads_total', 'disk_writes_total'] },
    { id: 'busy', unit: 'ratio', metrics: ['disk_busy_seconds_total'] },
  ],
  network: [
    { id: 'throughput', unit: 'bits_per_second', metrics: ['network_receive_bytes_total', 'network_transmit_bytes_total'], scale: 'bits' },
    { id: 'packets', unit: 'per_second', metrics: ['network_receive_packets_total', 'network_transmit_packets_total'] },
    {
      id: 'faults', unit: 'per_second',
      metrics: ['network_receive_errors_total', 'network_transmit_errors_total', 'network_receive_drops_total', 'network_transmit_drops_total'],
    },
  ],
}

export const RANGES = ['15m', '1h', '6h', '24h'] as const
export type Range = typeof RANGES[number]
export const DEFAULT_RANGE: Range = '1h'

export const RANGE_MS: Record<Range, number> = {
  '15m': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
}

/** The overview of the cards: one request for all four of them. */
export const CARD_METRICS = [
  'cpu_usage_ratio', 'memory_usage_ratio', 'disk_read_bytes_total', 'disk_write_bytes_total',
  'network_receive_bytes_total', 'network_transmit_bytes_total',
] as const

export function isFamily(value: unknown): value is Family {
  return FAMILIES.includes(value as Family)
}

export function isRange(value: unknown): value is Range {
  return RANGES.includes(value as Range)
}

export function viewOf(family: Family, id: string): ChartView {
  return VIEWS[family].find(view => view.id === id) ?? VIEWS[family][0]
}

/** How much one stored value is in the unit of the view. */
export function scaleFactor(view: ChartView, metric: string, cores: number): number {
  if (view.scale === 'bits') return 8
  // CPU time is seconds of all cores together: a share only after division.
  if (view.scale === 'per-core' && metric === 'cpu_time_seconds_total') return 1 / Math.max(1, cores)
  return 1
}

/** The label that tells two lines of one metric apart, such as the mount point. */
export function qualifier(labels: Record<string, string>): { label: string, value: string } | null {
  for (const label of ['mountpoint', 'interface', 'device', 'core', 'mode']) {
    const value = labels[label]
    if (value !== undefined) return { label, value }
  }
  return null
}
