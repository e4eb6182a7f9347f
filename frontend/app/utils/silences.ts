// From a silence to its form, and back; and which silences come first.
import type { Day, Silence, SilenceInfo } from '~/api/silences'
import { fromLocalInput, toLocalInput } from './localTime'
import { formatTags, parseTags } from './tags'
import { DAY_MS, HOUR_MS } from './units'

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const satisfies readonly Day[]
/** How long a silence lasts that begins now. */
export const LENGTHS_MS = { '1h': HOUR_MS, '2h': 2 * HOUR_MS, '8h': 8 * HOUR_MS, '1d': DAY_MS, '7d': 7 * DAY_MS } as const
export type Length = keyof typeof LENGTHS_MS
/** `now`: from now on, for some time. */
export type When = 'now' | 'between' | 'weekly'

export interface SilenceForm {
  kind: 'silence' | 'maintenance'
  comment: string
  /** Patterns, separated by commas. */
  names: string
  tags: string
  rules: string
  when: When
  length: Length
  from: string
  to: string
  days: readonly Day[]
  start: string
  duration: string
  timezone: string
  /** The zone of `from` and `to`. */
  zone: string
}

const listOf = (text: string): string[] => text.split(',').map(item => item.trim()).filter(Boolean)

export function newSilence(nowMs: number, timezone: string): SilenceForm {
  return {
    kind: 'silence', comment: '', names: '', tags: '', rules: '', when: 'now', length: '1h',
    from: toLocalInput(nowMs, timezone), to: toLocalInput(nowMs + HOUR_MS, timezone), days: DAYS, start: '02:00', duration: '2h', timezone, zone: timezone,
  }
}

export function silenceForm(silence: Silence, nowMs: number, timezone: string): SilenceForm {
  const { weekly, scope, ends_ms: endsMs, starts_ms: startsMs } = silence
  return {
    ...newSilence(nowMs, timezone),
    kind: silence.kind ?? 'silence',
    comment: silence.comment ?? '',
    names: (scope?.names ?? []).join(', '),
    tags: formatTags(scope?.tags ?? {}),
    rules: (silence.rules ?? []).join(', '),
    when: weekly ? 'weekly' : 'between',
    ...(startsMs ? { from: toLocalInput(startsMs, timezone) } : {}),
    ...(endsMs ? { to: toLocalInput(endsMs, timezone) } : {}),
    ...(weekly ? { days: weekly.days ?? DAYS, start: weekly.start, duration: weekly.duration, timezone: weekly.timezone ?? timezone } : {}),
  }
}

/** What is not in the form stays as `before` has it. Throws TagSyntaxError. */
export function toSilence(form: SilenceForm, nowMs: number, before: Silence | null): Silence {
  const scope = { ...before?.scope, names: listOf(form.names), tags: parseTags(form.tags) }
  const common = { ...before, kind: form.kind, comment: form.comment.trim(), scope, rules: listOf(form.rules) }
  switch (form.when) {
    case 'now': return { ...common, starts_ms: nowMs, ends_ms: nowMs + LENGTHS_MS[form.length], weekly: null }
    case 'between': return { ...common, starts_ms: fromLocalInput(form.from, form.zone) ?? nowMs, ends_ms: fromLocalInput(form.to, form.zone) ?? nowMs, weekly: null }
    case 'weekly': return {
      ...common, starts_ms: before?.weekly ? before.starts_ms : 0, ends_ms: before?.weekly ? before.ends_ms : null,
      weekly: { days: [...form.days], start: form.start, duration: form.duration.trim(), timezone: form.timezone.trim() },
    }
  }
}

export type SilenceState = 'active' | 'scheduled' | 'over'
const ORDER: Record<SilenceState, number> = { active: 0, scheduled: 1, over: 2 }

export function stateOfSilence({ silence, active_until_ms: until }: SilenceInfo, nowMs: number): SilenceState {
  if (until !== null) return 'active'
  return silence.ends_ms != null && silence.ends_ms <= nowMs ? 'over' : 'scheduled'
}

/** What is silent now first, then what comes, then what is over. */
export function sortSilences(silences: readonly SilenceInfo[], nowMs: number): SilenceInfo[] {
  return [...silences].sort((a, b) => ORDER[stateOfSilence(a, nowMs)] - ORDER[stateOfSilence(b, nowMs)] || b.created_ms - a.created_ms)
}
