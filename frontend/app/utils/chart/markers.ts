// Where events are on the time axis of a chart.
import type { ServerEvent } from '~/api/events'
import { shapeOf, toneOf, worstTone } from '../events'
import type { Shape, Tone } from '../events'

/** Where the plot is in the chart, in px, and which times it shows. */
export interface PlotArea {
  left: number
  top: number
  width: number
  height: number
  fromMs: number
  toMs: number
}

/** One or several events at nearly the same place. */
export interface Marker {
  left: number
  /** Oldest first. */
  events: ServerEvent[]
  tone: Tone
  shape: Shape
}

export interface EventLine { left: number, tone: Tone }

/** Markers are as wide as a finger needs (WCAG 2.5.8), so that two never overlap. */
export const MARKER_PX = 24
// The moment when a server counts as down comes after its last data, where the chart of a silent server ends.
const LATE_SHARE = 0.1

function within(events: readonly ServerEvent[], { fromMs, toMs }: PlotArea): ServerEvent[] {
  return events.filter(event => event.time_ms >= fromMs && event.time_ms <= toMs).sort((a, b) => a.time_ms - b.time_ms || a.id - b.id)
}

function positionOf(timeMs: number, { left, width, fromMs, toMs }: PlotArea): number {
  return left + (timeMs - fromMs) / Math.max(1, toMs - fromMs) * width
}

/** From left to right. Events that are closer than MARKER_PX to the first of a marker join it. */
export function markersOf(events: readonly ServerEvent[], area: PlotArea): Marker[] {
  const groups: { left: number, events: ServerEvent[] }[] = []
  for (const event of within(events, area)) {
    const left = positionOf(event.time_ms, area)
    const last = groups.at(-1)
    if (last && left - last.left < MARKER_PX) last.events.push(event)
    else groups.push({ left, events: [event] })
  }
  return groups.map(({ left, events: together }) => {
    const tone = worstTone(together.map(toneOf))
    return { left, events: together, tone, shape: shapeOf(together.find(event => toneOf(event) === tone)!) }
  })
}

/** One line for each px at which something happened. */
export function linesOf(events: readonly ServerEvent[], area: PlotArea): EventLine[] {
  const tones = new Map<number, Tone>()
  for (const event of within(events, area)) {
    const left = Math.round(positionOf(event.time_ms, area))
    tones.set(left, worstTone([toneOf(event), tones.get(left) ?? 'unknown']))
  }
  return [...tones].map(([left, tone]) => ({ left, tone }))
}

/** The times within an area in which the server was down, from left to right, in px. */
export function downSpans(events: readonly ServerEvent[], area: PlotArea): { left: number, width: number }[] {
  const changes = events
    .filter(({ type, time_ms }) => ['server_down', 'server_up', 'server_retired', 'server_added'].includes(type) && time_ms <= area.toMs)
    .sort((a, b) => a.time_ms - b.time_ms || a.id - b.id)
  const spans: [number, number][] = []
  // A server that comes up first was down before; the list may begin in between.
  let downMs = changes[0]?.type === 'server_up' ? area.fromMs : null
  for (const { type, time_ms } of changes) {
    if (type === 'server_down') downMs ??= time_ms
    else if (downMs !== null) {
      spans.push([downMs, time_ms])
      downMs = null
    }
  }
  if (downMs !== null) spans.push([downMs, area.toMs])
  return spans
    .filter(([, toMs]) => toMs > area.fromMs)
    .map(([fromMs, toMs]) => {
      const left = positionOf(Math.max(fromMs, area.fromMs), area)
      return { left, width: positionOf(toMs, area) - left }
    })
}

/** Where the axis ends, so that it shows what happened just after the last data of a silent server. */
export function axisEnd(events: readonly ServerEvent[], startMs: number, endMs: number): number {
  const limitMs = endMs + (endMs - startMs) * LATE_SHARE
  return events.reduce((latest, { time_ms }) => (time_ms > latest && time_ms <= limitMs ? time_ms : latest), endMs)
}
