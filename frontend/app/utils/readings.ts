// Turns the flat list of current series into what the server page shows. A field that a host does not report is null, never zero.
import type { LiveSeries } from '~/api/metrics'
import { BITS_PER_BYTE } from './units'
import { GUEST_MODES, NETWORK_FAULT_METRICS } from './views'

export interface Snapshot {
  timeMs: number
  byMetric: ReadonlyMap<string, readonly LiveSeries[]>
}

export function makeSnapshot(timeMs: number, series: readonly LiveSeries[]): Snapshot {
  const byMetric = new Map<string, LiveSeries[]>()
  for (const item of series) {
    const list = byMetric.get(item.metric)
    if (list) list.push(item)
    else byMetric.set(item.metric, [item])
  }
  return { timeMs, byMetric }
}

type Field = 'value' | 'rate'

function seriesOf(snapshot: Snapshot, metric: string): readonly LiveSeries[] {
  return snapshot.byMetric.get(metric) ?? []
}

function gaugeValue(snapshot: Snapshot, metric: string): number | null {
  return seriesOf(snapshot, metric)[0]?.value ?? null
}

function valueByLabel(snapshot: Snapshot, metric: string, label: string, value: string, field: Field = 'value'): number | null {
  return seriesOf(snapshot, metric).find(item => item.labels[label] === value)?.[field] ?? null
}

function sumOf(snapshot: Snapshot, metric: string, field: Field): number | null {
  return addKnown(seriesOf(snapshot, metric).map(item => item[field]))
}

/** Adds up the values that are not null; `null` if there are none. */
function addKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter(value => value !== null)
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0)
}

export interface CpuReading {
  usage: number | null
  cores: { core: string, usage: number | null }[]
  load1: number | null
  load5: number | null
  load15: number | null
  /** The share of CPU time per mode, 0..1, in descending order, without idle. */
  modes: { mode: string, share: number }[]
}

export function readCpu(snapshot: Snapshot): CpuReading {
  const times = seriesOf(snapshot, 'cpu_time_seconds_total').filter(item => item.rate !== null && !GUEST_MODES.includes(item.labels.mode ?? ''))
  const total = times.reduce((sum, item) => sum + (item.rate ?? 0), 0)
  return {
    usage: gaugeValue(snapshot, 'cpu_usage_ratio'),
    cores: seriesOf(snapshot, 'cpu_core_usage_ratio')
      .map(item => ({ core: item.labels.core ?? '', usage: item.value }))
      .sort((a, b) => Number(a.core) - Number(b.core)),
    load1: gaugeValue(snapshot, 'load_1m'),
    load5: gaugeValue(snapshot, 'load_5m'),
    load15: gaugeValue(snapshot, 'load_15m'),
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
    usage: gaugeValue(snapshot, 'memory_usage_ratio'),
    used: gaugeValue(snapshot, 'memory_used_bytes'),
    total: gaugeValue(snapshot, 'memory_total_bytes'),
    available: gaugeValue(snapshot, 'memory_available_bytes'),
    cached: gaugeValue(snapshot, 'memory_cached_bytes'),
    swapUsage: gaugeValue(snapshot, 'swap_usage_ratio'),
    swapUsed: gaugeValue(snapshot, 'swap_used_bytes'),
    swapTotal: gaugeValue(snapshot, 'swap_total_bytes'),
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

/** In descending order of usage; filesystems without a value come last. */
function readFilesystems(snapshot: Snapshot): FilesystemReading[] {
  return seriesOf(snapshot, 'filesystem_usage_ratio')
    .map(({ labels, value }) => {
      const mountpoint = labels.mountpoint ?? ''
      const bytes = (metric: string) => valueByLabel(snapshot, metric, 'mountpoint', mountpoint)
      return {
        mountpoint,
        device: labels.device ?? '',
        fstype: labels.fstype ?? '',
        usage: value,
        used: bytes('filesystem_used_bytes'),
        available: bytes('filesystem_available_bytes'),
        total: bytes('filesystem_total_bytes'),
      }
    })
    .sort((a, b) => (b.usage ?? -1) - (a.usage ?? -1))
}

export interface DiskReading {
  filesystems: FilesystemReading[]
  fullest: FilesystemReading | null
  readRate: number | null
  writeRate: number | null
  /** Reads and writes together. */
  totalRate: number | null
  /** The share of time that the busiest device was busy, 0..1. */
  busy: number | null
}

export function readDisk(snapshot: Snapshot): DiskReading {
  const filesystems = readFilesystems(snapshot)
  const busy = seriesOf(snapshot, 'disk_busy_seconds_total').map(item => item.rate).filter(rate => rate !== null)
  const readRate = sumOf(snapshot, 'disk_read_bytes_total', 'rate')
  const writeRate = sumOf(snapshot, 'disk_write_bytes_total', 'rate')
  return {
    filesystems,
    fullest: filesystems[0] ?? null,
    readRate,
    writeRate,
    totalRate: addKnown([readRate, writeRate]),
    busy: busy.length === 0 ? null : Math.min(1, Math.max(...busy)),
  }
}

export interface InterfaceReading {
  name: string
  up: boolean | null
  /** bit/s; `null` if the driver does not report it. */
  speed: number | null
  /** bit/s */
  receive: number | null
  transmit: number | null
  /** Errors and drops per second, in both directions. */
  faults: number | null
  /** Traffic of the busier direction divided by the speed; `null` if the speed is unknown. */
  usage: number | null
}

/** In descending order of traffic. */
function readInterfaces(snapshot: Snapshot): InterfaceReading[] {
  return seriesOf(snapshot, 'network_receive_bytes_total')
    .map(({ labels }) => {
      const name = labels.interface ?? ''
      const rate = (metric: string) => valueByLabel(snapshot, metric, 'interface', name, 'rate')
      const up = valueByLabel(snapshot, 'network_up', 'interface', name)
      const speed = valueByLabel(snapshot, 'network_speed_bits', 'interface', name)
      const receive = toBits(rate('network_receive_bytes_total'))
      const transmit = toBits(rate('network_transmit_bytes_total'))
      const busier = Math.max(receive ?? 0, transmit ?? 0)
      return {
        name,
        up: up === null ? null : up > 0,
        speed: speed !== null && speed > 0 ? speed : null,
        receive,
        transmit,
        faults: addKnown(NETWORK_FAULT_METRICS.map(rate)),
        usage: speed !== null && speed > 0 && receive !== null ? Math.min(1, busier / speed) : null,
      }
    })
    .sort((a, b) => (b.receive ?? 0) + (b.transmit ?? 0) - (a.receive ?? 0) - (a.transmit ?? 0))
}

export interface NetworkReading {
  interfaces: InterfaceReading[]
  /** bit/s */
  receive: number | null
  transmit: number | null
  total: number | null
  faults: number | null
}

export function readNetwork(snapshot: Snapshot): NetworkReading {
  const interfaces = readInterfaces(snapshot)
  const receive = toBits(sumOf(snapshot, 'network_receive_bytes_total', 'rate'))
  const transmit = toBits(sumOf(snapshot, 'network_transmit_bytes_total', 'rate'))
  return {
    interfaces,
    receive,
    transmit,
    total: addKnown([receive, transmit]),
    faults: addKnown(interfaces.map(item => item.faults)),
  }
}

function toBits(bytes: number | null): number | null {
  return bytes === null ? null : bytes * BITS_PER_BYTE
}

export interface Readings {
  cpu: CpuReading
  memory: MemoryReading
  disk: DiskReading
  network: NetworkReading
}

export function readSnapshot(snapshot: Snapshot): Readings {
  return { cpu: readCpu(snapshot), memory: readMemory(snapshot), disk: readDisk(snapshot), network: readNetwork(snapshot) }
}
