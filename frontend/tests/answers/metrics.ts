// Servers and metrics as the API answers them.
import { SERVERS, newestFrame, seriesOf } from './servers'
import type { AnsweredSeries, AnsweredServer } from './servers'

const HOUR_MS = 3_600_000
// How many values each bucket's mean and extremes are made of.
const SAMPLES_PER_BUCKET = 6
const RELATIVE = /^-(\d+)(s|m|h|d)$/
const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: HOUR_MS, d: 24 * HOUR_MS }

function stateOf(server: AnsweredServer, nowMs: number): 'up' | 'late' | 'down' {
  const intervals = (nowMs - newestFrame(server, nowMs)) / server.intervalMs
  if (intervals < 3) return 'up'
  return intervals < 10 ? 'late' : 'down'
}

export function servers(nowMs: number): object {
  return {
    servers: SERVERS.map(server => ({
      id: server.id,
      name: server.name,
      state: stateOf(server, nowMs),
      first_seen_ms: nowMs - 400 * 24 * HOUR_MS,
      last_seen_ms: newestFrame(server, nowMs),
      interval_ms: server.intervalMs,
      agent_version: '0.1.0',
      tags: {},
      own_tags: {},
      clock: 'ok' as const,
      clock_offset_ms: 0,
      clock_jump_ms: null,
      host: {
        hostname: server.name,
        os: server.os,
        kernel: server.kernel,
        architecture: 'x86_64',
        cpu_model: server.cpuModel,
        cpu_count: server.cores,
        memory_total_bytes: server.memoryBytes,
        boot_time_ms: nowMs - server.bootedHoursAgo * HOUR_MS,
      },
    })),
    next: null,
  }
}

function selected(query: URLSearchParams): { server: AnsweredServer, series: AnsweredSeries[] }[] {
  const ids = query.getAll('server').map(Number)
  const metrics = new Set(query.getAll('metric'))
  const types = new Set(query.getAll('type'))
  return SERVERS.filter(server => ids.length === 0 || ids.includes(server.id)).map(server => ({
    server,
    series: seriesOf(server).filter(item => (metrics.size === 0 || metrics.has(item.metric)) && (types.size === 0 || types.has(item.type))),
  }))
}

export function current(query: URLSearchParams, nowMs: number): object {
  return {
    time_ms: nowMs,
    servers: selected(query).map(({ server, series }) => {
      const timeMs = newestFrame(server, nowMs)
      return {
        server_id: server.id,
        time_ms: timeMs,
        series: series.map(({ at, ...item }) => ({
          ...item,
          value: item.kind === 'gauge' ? at(timeMs) : (at(timeMs) ?? 0) * timeMs / 1000,
          rate: item.kind === 'counter' ? at(timeMs) : null,
        })),
      }
    }),
  }
}

export function catalog(): object {
  const metrics = new Map<string, { metric: string, type: string, unit: string, kind: string, series: number, servers: number, labels: Record<string, string[]> }>()
  for (const server of SERVERS) {
    for (const { metric, type, unit, kind, labels } of seriesOf(server)) {
      const found = metrics.get(metric) ?? { metric, type, unit, kind, series: 0, servers: SERVERS.length, labels: {} }
      found.series++
      for (const [name, value] of Object.entries(labels)) found.labels[name] = [...new Set([...found.labels[name] ?? [], value])].sort()
      metrics.set(metric, found)
    }
  }
  return { metrics: [...metrics.values()] }
}

export function history(query: URLSearchParams, nowMs: number): object {
  const startMs = parseTime(query.get('start') ?? '-1h', nowMs)
  const endMs = parseTime(query.get('end') ?? 'now', nowMs)
  const points = Number(query.get('max_points') ?? 500)
  const selection = selected(query)
  const interval = selection[0]?.server.intervalMs ?? 10_000
  const stepMs = (endMs - startMs) / interval <= points ? null : Math.ceil((endMs - startMs) / points / interval) * interval
  return {
    start_ms: startMs,
    end_ms: endMs,
    resolution: stepMs !== null && stepMs >= 60_000 ? '1m' : 'raw',
    step_ms: stepMs,
    series: selection.flatMap(({ server, series }) => series.map(item => historySeries(server, item, startMs, endMs, stepMs, nowMs))),
    next: null,
  }
}

function historySeries(server: AnsweredServer, { at, ...series }: AnsweredSeries, startMs: number, endMs: number, stepMs: number | null, nowMs: number): object {
  const times: number[] = []
  const values: (number | null)[] = []
  const min: (number | null)[] = []
  const max: (number | null)[] = []
  const step = stepMs ?? server.intervalMs
  for (let time = Math.ceil(startMs / step) * step; time < endMs; time += step) {
    if (time > newestFrame(server, nowMs)) break
    times.push(time)
    if (stepMs === null) {
      values.push(at(time))
      continue
    }
    const within = Array.from({ length: SAMPLES_PER_BUCKET }, (_, i) => at(time + i * step / SAMPLES_PER_BUCKET) ?? 0)
    values.push(within.reduce((sum, value) => sum + value, 0) / within.length)
    min.push(Math.min(...within))
    max.push(Math.max(...within))
  }
  return {
    server_id: server.id, ...series, aggregation: series.kind === 'counter' ? 'rate' : 'avg',
    times, values, min: stepMs === null ? null : min, max: stepMs === null ? null : max,
  }
}

function parseTime(text: string, nowMs: number): number {
  const relative = RELATIVE.exec(text)
  if (relative) return nowMs - Number(relative[1]) * UNIT_MS[relative[2]!]!
  if (text === 'now') return nowMs
  return /^\d+$/.test(text) ? Number(text) : Date.parse(text)
}
