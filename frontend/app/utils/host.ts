// From the flat list of current series to what the home page shows. A field that a host does not have is null, never zero.
import type { CurrentSeries } from '~/api/metrics'
import { GUEST_MODES } from './views'

export interface Snapshot {
  serverId: number
  timeMs: number
  series: CurrentSeries[]
  byMetric: ReadonlyMap<string, readonly CurrentSeries[]>
}

export function makeSnapshot(serverId: number, timeMs: number, series: CurrentSeries[]): Snapshot {
  const byMetric = new Map<string, CurrentSeries[]>()
  for (const item of series) {
    const list = byMetric.get(item.metric)
    if (list) list.push(item)
    else byMetric.set(item.metric, [item])
  }
  return { serverId, timeMs, series, byMetric }
}

type Labels = Record<string, string>
type Field = 'value' | 'rate'

function all(snapshot: Snapshot, metric: string): readonly CurrentSeries[] {
  return snapshot.byMetric.get(metric) ?? []
}

function gauge(snapshot: Snapshot, metric: string): number | null {
  return all(snapshot, metric)[0]?.value ?? null
}

function labelled(snapshot: Snapshot, metric: string, label: string, value: string, field: Field = 'value'): number | null {
  return all(snapshot, metric).find(item => item.labels[label] === value)?.[field] ?? null
}

/** `null` when no series has a value: the sum of nothing is unknown. */
function sumOf(snapshot: Snapshot, metric: string, field: Field): number | null {
  let sum: number | null = null
  for (const item of all(snapshot, metric)) {
    const value = item[field]
    if (value !== null) sum = (sum ?? 0) + value
  }
  return sum
}

export interface CpuReading {
  usage: number | null
  cores: { core: string, usage: number | null }[]
  load1: number | null
  load5: number | null
  load15: number | null
  /** The share of CPU time per mode, 0..1; the largest first, idle left out. */
  modes: { mode: string, share: number }[]
}

export function readCpu(snapshot: Snapshot): CpuReading {
  const times = all(snapshot, 'cpu_time_seconds_total').filter(item => item.rate !== null && !GUEST_MODES.includes(item.labels.mode ?? ''))
  const total = times.reduce((sum, item) => sum + (item.rate ?? 0), 0)
  return {
    usage: gauge(snapshot, 'cpu_usage_ratio'),
    cores: all(snapshot, 'cpu_core_usage_ratio')
      .map(item => ({ core: item.labels.core ?? '', usage: item.value }))
      .sort((a, b) => Number(a.core) - Number(b.core)),
    load1: gauge(snapshot, 'load_1m'),
    load5: gauge(snapshot, 'load_5m'),
    load15: gauge(snapshot, 'load_15m'),
    modes: total <= 0
      ? []
      : times
          .filter(item => item.labels.mode !== 'idle')
          .map(item => ({ mode: item.labels.mode ?? '', share: (item.rate ?? 0) / total }))
          .sort((a, b) => b.share - a.share),
  }
}

export interface MemoryReading {
  usage: number | null
  used: number | null
  total: number | null
  available: number | null
  cached: number | null
  swapUsage: number | null
  swapUsed: number | null
  swapTotal: number | null
}

export function readMemory(snapshot: Snapshot): MemoryReading {
  return {
    usage: gauge(snapshot, 'memory_usage_ratio'),
    used: gauge(snapshot, 'memory_used_bytes'),
    total: gauge(snapshot, 'memory_total_bytes'),
    available: gauge(snapshot, 'memory_available_bytes'),
    cached: gauge(snapshot, 'memory_cached_bytes'),
    swapUsage: gauge(snapshot, 'swap_usage_ratio'),
    swapUsed: gauge(snapshot, 'swap_used_bytes'),
    swapTotal: gauge(snapshot, 'swap_total_bytes'),
  }
}

export interface FilesystemReading {
  mountpoint: string
  device: string
  fstype: string
  usage: number | null
  used: number | null
  available: number | null
  total: number | null
}

/** The fullest first; what has no usage comes last. */
function readFilesystems(snapshot: Snapshot): FilesystemReading[] {
  return all(snapshot, 'filesystem_usage_ratio')
    .map(({ labels, value }: { labels: Labels, value: number | null }) => {
      const mountpoint = labels.mountpoint ?? ''
      const of = (metric: string) => labelled(snapshot, metric, 'mountpoint', mountpoint)
      return {
        mountpoint,
        device: labels.device ?? '',
        fstype: labels.fstype ?? '',
        usage: value,
        used: of('filesystem_used_bytes'),
        available: of('filesystem_available_bytes'),
        total: of('filesystem_total_bytes'),
      }
    })
    .sort((a, b) => (b.usage ?? -1) - (a.usage ?? -1))
}

export interface DiskReading {
  filesystems: FilesystemReading[]
  fullest: FilesystemReading | null
  readRate: number | null
  writeRate: number | null
  /** The busiest device's share of time with work under way. */
  busy: number | null
}

export function readDisk(snapshot: Snapshot): DiskReading {
  const filesystems = readFilesystems(snapshot)
  const busy = all(snapshot, 'disk_busy_seconds_total').map(item => item.rate).filter(rate => rate !== null)
  return {
    filesystems,
    fullest: filesystems[0] ?? null,
    readRate: sumOf(snapshot, 'disk_read_bytes_total', 'rate'),
    writeRate: sumOf(snapshot, 'disk_write_bytes_total', 'rate'),
    busy: busy.length === 0 ? null : Math.min(1, Math.max(...busy)),
  }
}

export interface InterfaceReading {
  name: string
  up: boolean | null
  /** bit/s; `null` when the driver does not say. */
  speed: number | null
  /** bit/s */
  receive: number | null
  transmit: number | null
  /** Errors and drops per second, both ways. */
  faults: number | null
  /** The busier direction's share of the speed; `null` without a speed. */
  usage: number | null
}

const FAULTS = ['network_receive_errors_total', 'network_transmit_errors_total', 'network_receive_drops_total', 'network_transmit_drops_total']

/** The busiest first. */
export function readInterfaces(snapshot: Snapshot): InterfaceReading[] {
  return all(snapshot, 'network_receive_bytes_total')
    .map(({ labels }) => {
      const name = labels.interface ?? ''
      const rate = (metric: string) => labelled(snapshot, metric, 'interface', name, 'rate')
      const up = labelled(snapshot, 'network_up', 'interface', name)
      const speed = labelled(snapshot, 'network_speed_bits', 'interface', name)
      const receive = toBits(rate('network_receive_bytes_total'))
      const transmit = toBits(rate('network_transmit_bytes_total'))
      const faults = FAULTS.map(rate).filter(value => value !== null)
      const busier = Math.max(receive ?? 0, transmit ?? 0)
      return {
        name,
        up: up === null ? null : up > 0,
        speed: speed !== null && speed > 0 ? speed : null,
        receive,
        transmit,
        faults: faults.length === 0 ? null : faults.reduce((sum, value) => sum + value, 0),
        usage: speed !== null && speed > 0 && receive !== null ? Math.min(1, busier / speed) : null,
      }
    })
    .sort((a, b) => (b.receive ?? 0) + (b.transmit ?? 0) - (a.receive ?? 0) - (a.transmit ?? 0))
}

export interface NetworkReading {
  interfaces: InterfaceReading[]
  receive: number | null
  transmit: number | null
  faults: number | null
}

export function readNetwork(snapshot: Snapshot): NetworkReading {
  const interfaces = readInterfaces(snapshot)
  const faults = interfaces.map(item => item.faults).filter(value => value !== null)
  return {
    interfaces,
    receive: toBits(sumOf(snapshot, 'network_receive_bytes_total', 'rate')),
    transmit: toBits(sumOf(snapshot, 'network_transmit_bytes_total', 'rate')),
    faults: faults.length === 0 ? null : faults.reduce((sum, value) => sum + value, 0),
  }
}

function toBits(bytes: number | null): number | null {
  return bytes === null ? null : bytes * 8
}
