// Events as the API answers them.
import { SERVERS } from './servers'
import type { AnsweredServer } from './servers'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const STARTED_MS = Date.now()
const OUTAGE = { serverId: 1, fromMs: STARTED_MS - 24 * MINUTE_MS, toMs: STARTED_MS - 20 * MINUTE_MS }

interface AnsweredEvent {
  id: number
  time_ms: number
  server_id: number
  server_name: string
  type: string
  alert_id: number | null
  rule_name: string
  severity: string | null
  series: string
  before: string
  after: string
}

function eventsOf(server: AnsweredServer): AnsweredEvent[] {
  const events: AnsweredEvent[] = []
  const add = (time_ms: number, type: string, more: Partial<AnsweredEvent> = {}) => {
    events.push({ id: 0, time_ms, server_id: server.id, server_name: server.name, type, alert_id: null, rule_name: '', severity: null, series: '', before: '', after: '', ...more })
  }
  const { fromMs, toMs } = OUTAGE
  add(fromMs - 400 * 24 * HOUR_MS, 'server_added')
  add(toMs - server.bootedHoursAgo * HOUR_MS, 'rebooted', { after: String(toMs - server.bootedHoursAgo * HOUR_MS) })
  add(fromMs - 30 * HOUR_MS, 'agent_updated', { before: '0.0.9', after: '0.1.0' })
  if (server.id === OUTAGE.serverId) {
    add(fromMs + MINUTE_MS, 'server_down')
    add(toMs, 'server_up')
    add(toMs + 1_000, 'rebooted', { after: String(toMs - MINUTE_MS) })
    add(toMs + 8 * MINUTE_MS, 'clock_jumped', { before: '120', after: '-3725000' })
  }
  if (server.silentForMs > HOUR_MS) add(toMs + 20 * MINUTE_MS - server.silentForMs + MINUTE_MS, 'server_down')
  if (server.id === 2) {
    const alert = { alert_id: 7, rule_name: 'Disk almost full', severity: 'critical', series: 'filesystem_usage_ratio{mountpoint="/var/lib/postgresql"}' }
    add(toMs - 12 * MINUTE_MS, 'alert_fired', alert)
    add(toMs - 6 * MINUTE_MS, 'alert_acknowledged', { ...alert, after: 'minji.kim@example.com' })
    for (let hour = 1; hour <= 60; hour++) {
      const busy = { alert_id: 100 + hour, rule_name: 'CPU busy', severity: 'warning', series: 'cpu_usage_ratio' }
      add(toMs - hour * HOUR_MS, 'alert_fired', busy)
      add(toMs - hour * HOUR_MS + 9 * MINUTE_MS, 'alert_resolved', busy)
    }
  }
  return events.sort((a, b) => a.time_ms - b.time_ms).map((event, index) => ({ ...event, id: server.id * 1_000 + index }))
}

export function events(query: URLSearchParams): object {
  const ids = query.getAll('server').map(Number)
  const from = Number(query.get('cursor') ?? 0)
  const limit = Number(query.get('limit') ?? 100)
  const all = SERVERS.filter(server => ids.length === 0 || ids.includes(server.id)).flatMap(eventsOf).sort((a, b) => b.time_ms - a.time_ms)
  return { events: all.slice(from, from + limit), next: from + limit < all.length ? String(from + limit) : null }
}
