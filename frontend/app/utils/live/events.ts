import type { EventType, ServerEvent } from '~/api/events'
import type { Event } from '~/api/proto/live'

const SEVERITIES = ['info', 'warning', 'critical'] as const

/** Events of the live stream as the API lists them. */
export function toServerEvents(events: readonly Event[]): ServerEvent[] {
  return events.map(event => ({
    id: event.id,
    time_ms: event.timeMs,
    server_id: event.server,
    server_name: event.serverName,
    type: event.type as EventType,
    alert_id: event.alert || null,
    rule_name: event.ruleName,
    severity: SEVERITIES.find(severity => severity === event.severity) ?? null,
    series: event.series,
    before: event.before,
    after: event.after,
  }))
}
