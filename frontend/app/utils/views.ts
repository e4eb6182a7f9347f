// What the history panel can show: each metric family has a few views, and each view shows some metrics in one unit.
import type { DisplayUnit } from './format'
import { BITS_PER_BYTE, HOUR_MS, MINUTE_MS } from './units'

export const FAMILIES = ['cpu', 'memory', 'disk', 'network'] as const
export type Family = typeof FAMILIES[number]

export interface ChartView {
  id: string
  unit: DisplayUnit
  metrics: readonly string[]
  /** Modes of CPU time that this view leaves out. */
  excludedModes?: readonly string[]
  /** How to convert stored values to `unit`. @default 'none' */
  scale?: 'none' | 'bits' | 'per-core'
}

/** CPU time of virtual machines, which the kernel also counts as user and nice. */
export const GUEST_MODES: readonly string[] = ['guest', 'guest_nice']

/** Errors and drops in both directions. */
export const NETWORK_FAULT_METRICS: readonly string[] = [
  'network_receive_errors_total', 'network_transmit_errors_total', 'network_receive_drops_total', 'network_transmit_drops_total',
]

export const VIEWS: Record<Family, readonly [ChartView, ...ChartView[]]> = {
  cpu: [
    {
      id: 'usage', unit: 'ratio', metrics: ['cpu_usage_ratio', 'cpu_time_seconds_total'],
      excludedModes: ['idle', ...GUEST_MODES], scale: 'per-core',
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
    { id: 'faults', unit: 'per_second', metrics: NETWORK_FAULT_METRICS },
  ],
}

export const RANGES = ['15m', '1h', '6h', '24h'] as const
export type Range = typeof RANGES[number]
export const DEFAULT_RANGE: Range = '1h'

export const RANGE_MS: Record<Range, number> = {
  '15m': 15 * MINUTE_MS,
  '1h': HOUR_MS,
  '6h': 6 * HOUR_MS,
  '24h': 24 * HOUR_MS,
}

/** The metrics whose sum is the headline of each card. */
export const CARD_METRICS: Record<Family, readonly string[]> = {
  cpu: ['cpu_usage_ratio'],
  memory: ['memory_usage_ratio'],
  disk: ['disk_read_bytes_total', 'disk_write_bytes_total'],
  network: ['network_receive_bytes_total', 'network_transmit_bytes_total'],
}

export function isFamily(value: unknown): value is Family {
  return FAMILIES.includes(value as Family)
}

export function isRange(value: unknown): value is Range {
  return RANGES.includes(value as Range)
}

export function viewOf(family: Family, id: string): ChartView {
  return VIEWS[family].find(view => view.id === id) ?? VIEWS[family][0]
}

/** Multiply a stored value by this to get it in the view's unit. */
export function scaleFactor(view: ChartView, metric: string, cores: number): number {
  if (view.scale === 'bits') return BITS_PER_BYTE
  // CPU time adds up the seconds of all cores.
  if (view.scale === 'per-core' && metric === 'cpu_time_seconds_total') return 1 / Math.max(1, cores)
  return 1
}

/** The label that distinguishes two series of one metric, such as the mount point. */
export function qualifier(labels: Record<string, string>): { name: string, value: string } | null {
  for (const name of ['mountpoint', 'interface', 'device', 'core', 'mode']) {
    const value = labels[name]
    if (value !== undefined) return { name, value }
  }
  return null
}
