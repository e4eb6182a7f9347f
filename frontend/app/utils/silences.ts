// From a silence to its form, and back; and which silences come first.
import { forward, object, partialCheck, pipe } from 'valibot'
import type { Day, Silence, SilenceInfo, Weekly } from '~/api/silences'
import type { Translate } from './forms'
import { MOST_CHARACTERS, MOST_PATTERNS, MOST_SCOPE_TAGS, choiceField, durationField, listField, needed, tagsField, textField, timeField, zoneField } from './forms'
import { fromLocalInput, toLocalInput } from './localTime'
import { formatTags, parseTags } from './tags'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units'

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
  days: Day[]
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
    from: toLocalInput(nowMs, timezone), to: toLocalInput(nowMs + HOUR_MS, timezone), days: [...DAYS], start: '02:00', duration: '2h', timezone, zone: timezone,
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
    ...(weekly ? { days: weekly.days ?? [...DAYS], start: weekly.start, duration: weekly.duration, timezone: weekly.timezone ?? timezone } : {}),
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
      weekly: { days: DAYS.filter(day => form.days.includes(day)), start: form.start, duration: form.duration.trim(), timezone: form.timezone.trim() },
    }
  }
}

/** What the fields that a form shows must hold. */
export function silenceSchema(t: Translate, when: When) {
  const common = object({
    names: listField(t, MOST_PATTERNS), tags: tagsField(t, MOST_SCOPE_TAGS), rules: listField(t, MOST_PATTERNS), comment: textField(t, MOST_CHARACTERS),
  })
  switch (when) {
    case 'now': return common
    case 'between': return pipe(
      object({ ...common.entries, from: needed(t, timeField(t)), to: needed(t, timeField(t)) }),
      forward(partialCheck([['from'], ['to']], ({ from, to }) => from < to, t('wrong.order')), ['to']),
    )
    case 'weekly': return object({
      ...common.entries, days: choiceField(t), start: needed(t), duration: needed(t, durationField(t, { least: '1m', most: '7d' })), timezone: needed(t, zoneField(t)),
    })
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

export interface SilenceWindow { fromMs: number, toMs: number }

const UNITS_MS: Record<string, number> = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS }
// Longer than any window of a week lasts.
const LONGEST_DAYS = 8

/** When a silence is active within a range, oldest first. */
export function windowsOf({ weekly, starts_ms: startsMs, ends_ms: endsMs }: Silence, fromMs: number, toMs: number): SilenceWindow[] {
  const first = Math.max(fromMs, startsMs ?? 0)
  const last = Math.min(toMs, endsMs ?? Infinity)
  const windows = weekly ? weeklyWindows(weekly, fromMs, toMs) : [{ fromMs: first, toMs: last }]
  return windows.map(window => ({ fromMs: Math.max(window.fromMs, first), toMs: Math.min(window.toMs, last) })).filter(window => window.toMs > window.fromMs)
}

function weeklyWindows({ days, start, duration, timezone = 'UTC' }: Weekly, fromMs: number, toMs: number): SilenceWindow[] {
  const parts = [...duration.matchAll(/(\d+)([smhd])/g)].map(([, count, unit]) => ({ count: Number(count), unit: unit! }))
  const wholeDays = parts.filter(({ unit }) => unit === 'd').reduce((sum, { count }) => sum + count, 0)
  const restMs = parts.filter(({ unit }) => unit !== 'd').reduce((sum, { count, unit }) => sum + count * UNITS_MS[unit]!, 0)
  const windows: SilenceWindow[] = []
  const day = new Date(`${toLocalInput(fromMs, timezone).slice(0, 10)}T00:00:00Z`)
  day.setUTCDate(day.getUTCDate() - LONGEST_DAYS)
  for (; day.getTime() <= toMs + DAY_MS; day.setUTCDate(day.getUTCDate() + 1)) {
    // getUTCDay() begins with Sunday, DAYS with Monday.
    if (!(days ?? DAYS).includes(DAYS[(day.getUTCDay() + 6) % 7]!)) continue
    const begin = fromLocalInput(`${day.toISOString().slice(0, 10)}T${start}`, timezone)
    // A day of the calendar has 23 or 25 hours when the clocks change.
    const end = fromLocalInput(`${new Date(day.getTime() + wholeDays * DAY_MS).toISOString().slice(0, 10)}T${start}`, timezone)
    if (begin !== null && end !== null) windows.push({ fromMs: begin, toMs: end + restMs })
  }
  return windows
}
