// How alerts are shown.
import type { Alert, AlertHistoryQuery, AlertSeverity } from '~/api/alerts'
import type { NotificationState } from '~/api/notifications'
import type { ExplorerState } from './explorer'
import { HOUR_MS, MINUTE_MS } from './units'

const ICONS: Record<AlertSeverity, string> = { critical: 'i-lucide-octagon-alert', warning: 'i-lucide-triangle-alert', info: 'i-lucide-info' }

export function alertIcon(alert: Pick<Alert, 'severity' | 'state'>): string {
  return alert.state === 'resolved' ? 'i-lucide-check' : ICONS[alert.severity]
}

export function alertClass(alert: Pick<Alert, 'severity' | 'state'>): string {
  return alert.state === 'resolved' ? 'state-ok' : `state-${alert.severity}`
}

/** When it ended, or how long it has lasted so far, in seconds. */
export function alertSeconds({ since_ms, resolved_ms }: Pick<Alert, 'since_ms' | 'resolved_ms'>, nowMs: number): number {
  return Math.max(0, ((resolved_ms ?? nowMs) - since_ms) / 1000)
}

export const HISTORY_RANGES = ['24h', '7d', '30d', 'all'] as const
export type HistoryRange = typeof HISTORY_RANGES[number]
// Alerts are not kept for longer.
const STARTS: Record<HistoryRange, string> = { '24h': '-24h', '7d': '-7d', '30d': '-30d', 'all': '-50y' }

/** Which of the past alerts are listed; empty: any. */
export interface AlertFilter {
  servers: readonly number[]
  severity: AlertSeverity | ''
  rule: string
  range: HistoryRange
}

export function historyQuery({ servers, severity, rule, range }: AlertFilter, limit: number, cursor: string | null): AlertHistoryQuery {
  return {
    start: STARTS[range], state: ['resolved'], limit, server: [...servers],
    ...(severity ? { severity: [severity] } : {}), ...(rule ? { rule } : {}), ...(cursor === null ? {} : { cursor }),
  }
}

/** The metric and the labels of the series that an alert is about, such as `name{mountpoint="/"}`; `null` if it is about none. */
function alertSeries(series: string): { metric: string, labels: Record<string, string> } | null {
  const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?$/s.exec(series)
  if (!found) return null
  const labels = [...(found[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gs)]
  return { metric: found[1]!, labels: Object.fromEntries(labels.map(([, name, value]) => [name!, value!.replace(/\\(.)/gs, '$1')])) }
}

// Enough to see what was usual before, and whether it came back.
const BEFORE_MS = HOUR_MS
const AFTER_MS = 15 * MINUTE_MS

/** The chart of what an alert is about; `null` if there is none, such as of a server that is down. */
export function alertState(alert: Alert, nowMs: number): ExplorerState | null {
  const series = alertSeries(alert.series)
  if (!series || alert.server_id <= 0) return null
  const endMs = Math.min(nowMs, (alert.resolved_ms ?? nowMs) + AFTER_MS)
  // A value with a space cannot be written as a filter: then the chart has the lines beside it, too.
  const labels = Object.entries(series.labels).filter(([, value]) => !/\s/.test(value)).map(([name, value]) => `${name}=${value}`).join(' ')
  return {
    metrics: [series.metric], queries: [], servers: [alert.server_id], labels, combine: 'none', by: '', range: '1h', between: [alert.since_ms - BEFORE_MS, endMs],
    drawing: 'lines', compare: 'none',
  }
}

export const NOTIFICATION_FILTERS = ['all', 'waiting', 'sent', 'dead'] as const
export type NotificationFilter = typeof NOTIFICATION_FILTERS[number]
export const NOTIFICATION_STATES: Record<NotificationFilter, readonly NotificationState[]> = { all: [], waiting: ['queued', 'sending'], sent: ['sent'], dead: ['dead', 'dropped'] }

const NOTIFICATION_CLASSES: Partial<Record<NotificationState, string>> = { sent: 'state-ok', dead: 'state-critical', dropped: 'state-warning' }

export function notificationClass(state: NotificationState): string {
  return NOTIFICATION_CLASSES[state] ?? 'text-muted'
}
