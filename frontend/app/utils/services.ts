// The services of systemd, from the current values of a server.
import type { Snapshot } from './readings'

/** The services that have no series of their own, added up by the agent. */
const OTHERS = '(others)'

export interface ServiceReading {
  name: string
  isOthers: boolean
  /** The share of one core. */
  cpu: number | null
  memory: number | null
  /** byte/s; `null` where systemd does not account for I/O. */
  read: number | null
  written: number | null
}

/** Those that use most CPU first; the others at the end. */
export function readServices(snapshot: Snapshot): ServiceReading[] {
  const valueOf = (metric: string, name: string, field: 'value' | 'rate' = 'value') =>
    snapshot.byMetric.get(metric)?.find(item => item.labels.service === name)?.[field] ?? null
  const names = (snapshot.byMetric.get('service_memory_working_set_bytes') ?? []).map(item => item.labels.service ?? '')
  return names.map(name => ({
    name,
    isOthers: name === OTHERS,
    cpu: valueOf('service_cpu_usage_ratio', name),
    memory: valueOf('service_memory_working_set_bytes', name),
    read: valueOf('service_disk_read_bytes_total', name, 'rate'),
    written: valueOf('service_disk_written_bytes_total', name, 'rate'),
  }))
    .filter(item => item.cpu !== null || item.memory !== null)
    .sort((a, b) => Number(a.isOthers) - Number(b.isOthers) || (b.cpu ?? 0) - (a.cpu ?? 0) || (b.memory ?? 0) - (a.memory ?? 0))
}

/** How many services `(others)` are. */
export const countOthers = (snapshot: Snapshot): number => snapshot.byMetric.get('services_in_others')?.[0]?.value ?? 0
