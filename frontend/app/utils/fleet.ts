// What the fleet view shows of a server, and in which order.
import type { AlertSeverity } from '~/api/alerts'
import type { LiveSeries } from '~/api/metrics'
import type { Server, ServerState } from '~/api/servers'
import { levelOrder, usageLevel, worstLevel } from './levels'
import type { Level } from './levels'
import { matchServers } from './search'
import { BITS_PER_BYTE } from './units'

export const FLEET_METRICS = [
  'cpu_usage_ratio', 'memory_usage_ratio', 'filesystem_usage_ratio', 'load_1m', 'network_receive_bytes_total', 'network_transmit_bytes_total',
] as const

/** What only some of the columns need. */
export const TEMPERATURE_METRICS = ['sensor_temperature_celsius', 'gpu_temperature_celsius'] as const

export const FLEET_COLUMNS = ['name', 'cpu', 'memory', 'disk', 'network', 'load', 'temperature', 'completeness', 'agent', 'seen'] as const
export type FleetColumn = typeof FLEET_COLUMNS[number]
/** The name is always there. */
export const USUAL_COLUMNS: readonly FleetColumn[] = FLEET_COLUMNS.filter(column => column !== 'temperature' && column !== 'completeness')

export function isFleetColumn(value: unknown): value is FleetColumn {
  return FLEET_COLUMNS.includes(value as FleetColumn)
}

/** What the colour of a tile can show. */
export const TILE_VALUES = ['cpu', 'memory', 'disk'] as const
export type TileValue = typeof TILE_VALUES[number]

export type FleetView = 'table' | 'tiles'

/** A field that a server does not report is `null`. */
export interface FleetReading {
  timeMs: number
  cpu: number | null
  memory: number | null
  /** Of the fullest filesystem. */
  disk: number | null
  mountpoint: string
  load: number | null
  /** bit/s */
  receive: number | null
  transmit: number | null
  /** Of the hottest sensor, in °C. */
  temperature: number | null
}

export interface FleetRow {
  server: Server
  reading: FleetReading | null
  alerts: FiringAlerts
  /** How much of the memory or of a filesystem is used. */
  level: Level
}

/** Alerts of a server that fire. */
export interface FiringAlerts { count: number, worst: AlertSeverity | null }

export const NO_ALERTS: FiringAlerts = { count: 0, worst: null }
const SEVERITY_ORDER: Record<AlertSeverity, number> = { critical: 0, warning: 1, info: 2 }
const STATE_ORDER: Record<ServerState, number> = { down: 0, late: 1, up: 2, retired: 3 }

/** Takes over the series of a frame; those of other layouts keep their values. */
export function readFleet(before: FleetReading | null, timeMs: number, series: readonly LiveSeries[]): FleetReading {
  const reading: FleetReading = before === null
    ? { timeMs, cpu: null, memory: null, disk: null, mountpoint: '', load: null, receive: null, transmit: null, temperature: null }
    : { ...before, timeMs: Math.max(timeMs, before.timeMs) }
  let disk: number | null = null
  let mountpoint = ''
  let temperature: number | null = null
  const sums = new Map<string, number>()
  for (const { metric, labels, value, rate } of series) {
    if (metric === 'cpu_usage_ratio') reading.cpu = value
    else if (metric === 'memory_usage_ratio') reading.memory = value
    else if (metric === 'load_1m') reading.load = value
    else if (metric === 'filesystem_usage_ratio') {
      if (value !== null && value > (disk ?? -1)) {
        disk = value
        mountpoint = labels.mountpoint ?? ''
      }
    }
    else if (TEMPERATURE_METRICS.includes(metric as typeof TEMPERATURE_METRICS[number])) {
      if (value !== null) temperature = Math.max(value, temperature ?? -Infinity)
    }
    else if (rate !== null) sums.set(metric, (sums.get(metric) ?? 0) + rate)
  }
  if (disk !== null) Object.assign(reading, { disk, mountpoint })
  if (temperature !== null) reading.temperature = temperature
  const receive = sums.get('network_receive_bytes_total')
  const transmit = sums.get('network_transmit_bytes_total')
  if (receive !== undefined) reading.receive = receive * BITS_PER_BYTE
  if (transmit !== undefined) reading.transmit = transmit * BITS_PER_BYTE
  return reading
}

export function countAlerts(alerts: readonly { server_id: number, severity: AlertSeverity }[]): Map<number, FiringAlerts> {
  const counts = new Map<number, FiringAlerts>()
  for (const { server_id: id, severity } of alerts) {
    const { count, worst } = counts.get(id) ?? NO_ALERTS
    counts.set(id, { count: count + 1, worst: worst === null || SEVERITY_ORDER[severity] < SEVERITY_ORDER[worst] ? severity : worst })
  }
  return counts
}

/** What is wrong first: the state, then the alerts, then what is nearly used up, then the name. */
export function compareProblems(a: FleetRow, b: FleetRow): number {
  const severity = ({ alerts: { worst } }: FleetRow) => (worst === null ? 3 : SEVERITY_ORDER[worst])
  return STATE_ORDER[a.server.state] - STATE_ORDER[b.server.state] || severity(a) - severity(b)
    || levelOrder(a.level) - levelOrder(b.level) || compareNames(a.server, b.server)
}

// Usage that goes up and down around a limit would make the rows jump.
const LASTING_RATIO = 0.03

/** `before`: the row so far. It stays the same object if nothing has changed, so that it is not drawn again. */
export function toRow(server: Server, reading: FleetReading | null, alerts: FiringAlerts, before?: FleetRow): FleetRow {
  const [now, lasting] = [levelOf(reading, 0), levelOf(reading, LASTING_RATIO)]
  const isWorse = (a: Level, b: Level) => levelOrder(a) < levelOrder(b)
  const level = before === undefined || isWorse(now, before.level) ? now : isWorse(before.level, lasting) ? lasting : before.level
  return before && before.server === server && before.reading === reading && before.alerts === alerts && before.level === level ? before : { server, reading, alerts, level }
}

// Not the CPU: one that is busy for a moment would make the rows jump.
function levelOf(reading: FleetReading | null, more: number): Level {
  const level = (kind: 'memory' | 'filesystem', ratio: number | null) => usageLevel(kind, ratio === null ? null : ratio + more)
  return reading === null ? 'ok' : worstLevel([level('memory', reading.memory), level('filesystem', reading.disk)])
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

export function compareNames(a: Server, b: Server): number {
  return collator.compare(a.name, b.name) || a.id - b.id
}

/** Missing values come first in ascending order, so that they are last when the largest come first. */
export function compareValues(a: number | null, b: number | null): number {
  return (a ?? -1) - (b ?? -1)
}

export type StateFilter = 'all' | 'down' | 'late' | 'up'
export const STATE_FILTERS: readonly StateFilter[] = ['all', 'down', 'late', 'up']

export function isStateFilter(value: unknown): value is StateFilter {
  return STATE_FILTERS.includes(value as StateFilter)
}

/** The servers in a state whose name or a tag (`role=web`) contains every word. */
export function filterServers(servers: readonly Server[], state: StateFilter, query: string): Server[] {
  return matchServers(state === 'all' ? servers : servers.filter(server => server.state === state), query, server =>
    Object.entries(server.tags).map(([name, value]) => `${name}=${value}`).join(' '))
}

/** Servers with the same value of a tag; `null`: those without the tag. */
export interface FleetGroup { value: string | null, rows: FleetRow[] }

/** By the values of a tag, in which the rows keep their order; those without it are last. */
export function groupByTag(rows: readonly FleetRow[], tag: string): FleetGroup[] {
  const groups = new Map<string | null, FleetRow[]>()
  for (const row of rows) {
    const value = row.server.tags[tag] ?? null
    const group = groups.get(value)
    if (group) group.push(row)
    else groups.set(value, [row])
  }
  return [...groups].map(([value, members]) => ({ value, rows: members }))
    .sort((a, b) => (a.value === null ? 1 : b.value === null ? -1 : collator.compare(a.value, b.value)))
}

/** The names of the tags that servers have. */
export function tagNames(servers: readonly Server[]): string[] {
  return [...new Set(servers.flatMap(server => Object.keys(server.tags)))].sort(collator.compare)
}
