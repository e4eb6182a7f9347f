// Seven servers that differ in what a page has to cope with: long names, many disks, no swap, silence, 64 cores. A value follows from the time.

export interface Disk { device: string, readMean: number, writeMean: number }
export interface Filesystem { mountpoint: string, device: string, fstype: string, totalBytes: number, usage: number }
export interface Nic { name: string, speedBits: number | null, receiveMean: number, transmitMean: number, up: boolean }

export interface AnsweredServer {
  id: number
  name: string
  os: string
  kernel: string
  cpuModel: string
  cores: number
  memoryBytes: number
  swapBytes: number | null
  intervalMs: number
  bootedHoursAgo: number
  /** Age of the newest frame; 0 while the server is up. */
  silentForMs: number
  cpu: number
  memory: number
  filesystems: Filesystem[]
  disks: Disk[]
  nics: Nic[]
}

export interface AnsweredSeries {
  metric: string
  labels: Record<string, string>
  type: string
  unit: string
  kind: 'gauge' | 'counter'
  /** The value of a gauge, or the rate per second of a counter. */
  at: (timeMs: number) => number | null
}

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const TIB = 1024 ** 4

function filesystem(mountpoint: string, device: string, totalBytes: number, usage: number, fstype = 'ext4'): Filesystem {
  return { mountpoint, device, fstype, totalBytes, usage }
}

const BASE = {
  os: 'Debian 12', kernel: '6.1.0-26-amd64', cpuModel: 'AMD EPYC 7763', cores: 4, memoryBytes: 8 * GIB, swapBytes: 2 * GIB as number | null,
  intervalMs: 10_000, bootedHoursAgo: 900, silentForMs: 0, cpu: 0.22, memory: 0.48,
  filesystems: [filesystem('/', '/dev/vda1', 80 * GIB, 0.41), filesystem('/boot/efi', '/dev/vda15', 0.12 * GIB, 0.09, 'vfat')],
  disks: [{ device: 'vda', readMean: 0.8 * MIB, writeMean: 2.4 * MIB }],
  nics: [{ name: 'eth0', speedBits: 1e9 as number | null, receiveMean: 2.2 * MIB, transmitMean: 5.1 * MIB, up: true }],
}

const MOUNTS = ['/', '/home', '/srv/media', '/srv/backup', '/srv/archive/2024', '/srv/archive/2025', '/var', '/var/log', '/opt', '/mnt/scratch', '/mnt/nfs/projects', '/boot']
const FILLS = [0.52, 0.71, 0.935, 0.84, 0.66, 0.12, 0.38, 0.27, 0.44, 0.03, 0.81, 0.31]

export const SERVERS: AnsweredServer[] = [
  { ...BASE, id: 1, name: 'web-1' },
  {
    ...BASE, id: 2, name: 'db-primary', os: 'Ubuntu 24.04.1 LTS', kernel: '6.8.0-48-generic', cpuModel: 'Intel Xeon Platinum 8375C',
    cores: 16, memoryBytes: 64 * GIB, swapBytes: null, cpu: 0.61, memory: 0.88, bootedHoursAgo: 5_200,
    filesystems: [filesystem('/', '/dev/nvme0n1p1', 100 * GIB, 0.34), filesystem('/var/lib/postgresql', '/dev/nvme1n1', 2 * TIB, 0.937, 'xfs')],
    disks: [{ device: 'nvme0n1', readMean: 0.2 * MIB, writeMean: 1.1 * MIB }, { device: 'nvme1n1', readMean: 84 * MIB, writeMean: 41 * MIB }],
    nics: [{ name: 'ens5', speedBits: 10e9, receiveMean: 48 * MIB, transmitMean: 96 * MIB, up: true }],
  },
  {
    ...BASE, id: 3, name: 'storage-12', cores: 8, memoryBytes: 32 * GIB, cpu: 0.12, memory: 0.36, bootedHoursAgo: 12_000,
    filesystems: MOUNTS.map((mount, i) => filesystem(mount, `/dev/mapper/vg0-lv${i}`, (i % 4 + 1) * 0.9 * TIB, FILLS[i] ?? 0.5, i % 3 ? 'ext4' : 'xfs')),
    disks: ['sda', 'sdb', 'sdc', 'sdd'].map((device, i) => ({ device, readMean: (i + 1) * 6 * MIB, writeMean: (4 - i) * 3 * MIB })),
    nics: [
      { name: 'bond0', speedBits: 20e9, receiveMean: 70 * MIB, transmitMean: 22 * MIB, up: true },
      { name: 'eno1', speedBits: 10e9, receiveMean: 36 * MIB, transmitMean: 11 * MIB, up: true },
      { name: 'eno2', speedBits: 10e9, receiveMean: 34 * MIB, transmitMean: 11 * MIB, up: true },
      { name: 'eno3', speedBits: null, receiveMean: 0, transmitMean: 0, up: false },
    ],
  },
  { ...BASE, id: 4, name: '서울 리전 결제 서비스 운영 데이터베이스 예비 서버 02', cpu: 0.08, memory: 0.29, os: 'Rocky Linux 9.4 (Blue Onyx)', bootedHoursAgo: 31 },
  { ...BASE, id: 5, name: 'batch-worker', silentForMs: 47_000, cpu: 0.93, memory: 0.74 },
  { ...BASE, id: 6, name: 'legacy-mail', silentForMs: 3 * 3_600_000 + 720_000, os: 'CentOS Linux 7', kernel: '3.10.0-1160.el7', cores: 2 },
  { ...BASE, id: 7, name: 'edge-64', cores: 64, memoryBytes: 256 * GIB, intervalMs: 1_000, cpu: 0.37, memory: 0.55, cpuModel: 'Ampere Altra Q64-30', bootedHoursAgo: 2.4 },
]

/** Goes up and down by a fifth every six minutes. */
const wave = (mean: number) => (timeMs: number) => mean * (1 + 0.2 * Math.sin(timeMs / 60_000))

const clamp = (value: number): number => Math.min(1, Math.max(0, value))

export function seriesOf(server: AnsweredServer): AnsweredSeries[] {
  const list: AnsweredSeries[] = []
  const add = (type: string, kind: 'gauge' | 'counter', unit: string, metric: string, labels: Record<string, string>, at: AnsweredSeries['at']) => {
    list.push({ metric, labels, type, unit, kind, at })
  }
  const cpu = (timeMs: number) => clamp(wave(server.cpu)(timeMs))
  add('cpu', 'gauge', 'ratio', 'cpu_usage_ratio', {}, cpu)
  add('cpu', 'gauge', '', 'cpu_cores', {}, () => server.cores)
  for (let core = 0; core < server.cores; core++) {
    add('cpu', 'gauge', 'ratio', 'cpu_core_usage_ratio', { core: String(core) }, timeMs => clamp(cpu(timeMs) * (0.5 + core / server.cores)))
  }
  const shares = { user: 0.68, system: 0.2, iowait: 0.06, nice: 0.01, irq: 0.01, softirq: 0.03, steal: 0.01 }
  for (const [mode, share] of Object.entries(shares)) {
    add('cpu', 'counter', 'seconds', 'cpu_time_seconds_total', { mode }, timeMs => cpu(timeMs) * server.cores * share)
  }
  add('cpu', 'counter', 'seconds', 'cpu_time_seconds_total', { mode: 'idle' }, timeMs => (1 - cpu(timeMs)) * server.cores)
  for (const [metric, lag] of [['load_1m', 30_000], ['load_5m', 150_000], ['load_15m', 450_000]] as const) {
    add('cpu', 'gauge', '', metric, {}, timeMs => server.cores * 1.1 * cpu(timeMs - lag))
  }

  const used = () => server.memory
  const memory = (metric: string, of: (timeMs: number) => number) => add('memory', 'gauge', 'bytes', metric, {}, timeMs => Math.round(server.memoryBytes * of(timeMs)))
  memory('memory_total_bytes', () => 1)
  memory('memory_used_bytes', used)
  memory('memory_available_bytes', () => 1 - used())
  memory('memory_cached_bytes', () => (1 - used()) * 0.7)
  memory('memory_buffers_bytes', () => 0.02)
  memory('memory_free_bytes', () => (1 - used()) * 0.3)
  add('memory', 'gauge', 'ratio', 'memory_usage_ratio', {}, used)
  const swap = server.swapBytes
  if (swap !== null) {
    const share = () => 0.1
    add('memory', 'gauge', 'bytes', 'swap_total_bytes', {}, () => swap)
    add('memory', 'gauge', 'bytes', 'swap_used_bytes', {}, () => Math.round(swap * share()))
    add('memory', 'gauge', 'ratio', 'swap_usage_ratio', {}, share)
    add('memory', 'counter', 'bytes', 'swap_in_bytes_total', {}, wave(2_000))
    add('memory', 'counter', 'bytes', 'swap_out_bytes_total', {}, wave(4_000))
  }

  for (const { mountpoint, device, fstype, totalBytes, usage } of server.filesystems) {
    const labels = { mountpoint, device, fstype }
    const share = () => usage
    add('disk', 'gauge', 'bytes', 'filesystem_total_bytes', labels, () => totalBytes)
    add('disk', 'gauge', 'bytes', 'filesystem_used_bytes', labels, () => Math.round(totalBytes * share()))
    add('disk', 'gauge', 'bytes', 'filesystem_available_bytes', labels, () => Math.round(totalBytes * (1 - share())))
    add('disk', 'gauge', 'ratio', 'filesystem_usage_ratio', labels, share)
  }
  for (const { device, readMean, writeMean } of server.disks) {
    const read = wave(readMean)
    const write = wave(writeMean)
    add('disk', 'counter', 'bytes', 'disk_read_bytes_total', { device }, read)
    add('disk', 'counter', 'bytes', 'disk_write_bytes_total', { device }, write)
    add('disk', 'counter', '', 'disk_reads_total', { device }, timeMs => read(timeMs) / 16_384)
    add('disk', 'counter', '', 'disk_writes_total', { device }, timeMs => write(timeMs) / 32_768)
    add('disk', 'counter', 'seconds', 'disk_busy_seconds_total', { device }, timeMs => clamp((read(timeMs) + write(timeMs)) / (300 * MIB)))
  }
  for (const nic of server.nics) {
    const labels = { interface: nic.name }
    const receive = wave(nic.receiveMean)
    const transmit = wave(nic.transmitMean)
    add('network', 'counter', 'bytes', 'network_receive_bytes_total', labels, receive)
    add('network', 'counter', 'bytes', 'network_transmit_bytes_total', labels, transmit)
    add('network', 'counter', '', 'network_receive_packets_total', labels, timeMs => receive(timeMs) / 900)
    add('network', 'counter', '', 'network_transmit_packets_total', labels, timeMs => transmit(timeMs) / 1_100)
    for (const metric of ['receive_errors', 'transmit_errors', 'receive_drops', 'transmit_drops']) {
      add('network', 'counter', '', `network_${metric}_total`, labels, () => (server.id === 3 && nic.name === 'eno2' && metric === 'receive_drops' ? 1.7 : 0))
    }
    add('network', 'gauge', '', 'network_up', labels, () => (nic.up ? 1 : 0))
    const speed = nic.speedBits
    if (speed !== null) add('network', 'gauge', 'bits', 'network_speed_bits', labels, () => speed)
  }
  return list
}

/** The time of the newest frame: a multiple of the agent's interval. */
export function newestFrame(server: AnsweredServer, nowMs: number): number {
  return Math.floor((nowMs - server.silentForMs - 200) / server.intervalMs) * server.intervalMs
}
