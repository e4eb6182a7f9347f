// How alerts are shown.
import type { Alert, AlertSeverity } from '~/api/alerts'

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
