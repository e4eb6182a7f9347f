// What happened on a server: in which tone it is shown, and how pages and live events become one list.
import type { ServerEvent } from '~/api/events'

/** The colours of the classes `state-*`. `unknown` is neutral. */
export type Tone = 'ok' | 'info' | 'warning' | 'critical' | 'unknown'
/** Markers differ in shape, so that they can be told apart without their colour. */
export type Shape = 'down' | 'up' | 'alert' | 'other'

const TONE_ORDER: readonly Tone[] = ['critical', 'warning', 'info', 'ok', 'unknown']

export function toneOf({ type, severity }: Pick<ServerEvent, 'type' | 'severity'>): Tone {
  switch (type) {
    case 'server_down':
    case 'container_oom_killed': return 'critical'
    case 'server_up':
    case 'alert_resolved': return 'ok'
    case 'alert_fired': return severity ?? 'warning'
    default: return type.startsWith('container_') ? 'warning' : 'unknown'
  }
}

export function worstTone(tones: readonly Tone[]): Tone {
  return TONE_ORDER.find(tone => tones.includes(tone)) ?? 'unknown'
}

export function shapeOf({ type }: Pick<ServerEvent, 'type'>): Shape {
  switch (type) {
    case 'server_down': return 'down'
    case 'server_up':
    case 'alert_resolved': return 'up'
    case 'alert_fired': return 'alert'
    default: return 'other'
  }
}

/** Both lists as one, newest first; an event that is in both is in it once. Returns `events` itself if it has all of them. */
export function mergeEvents(events: readonly ServerEvent[], more: readonly ServerEvent[]): readonly ServerEvent[] {
  const known = new Set(events.map(event => event.id))
  const added = more.filter(event => !known.has(event.id))
  return added.length === 0 ? events : [...events, ...added].sort((a, b) => b.time_ms - a.time_ms || b.id - a.id)
}

/** The labels of the series of an alert, such as `mountpoint="/"`; empty if it has none. */
export function labelsOf(series: string): string {
  return /\{(.+)\}$/.exec(series)?.[1] ?? ''
}
