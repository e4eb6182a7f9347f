// What the fields of forms must hold. What is wrong is a sentence for below the field. An empty field is right, unless it is `needed`.
import * as v from 'valibot'
import { splitList } from './lists'
import { fromLocalInput, isTimeZone } from './localTime'
import { parseTags } from './tags'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units'

export type Translate = (key: string, values?: Record<string, unknown>) => string
export type Field = v.GenericSchema<string, string>

/** The limit of the API for comments and descriptions. */
export const MOST_CHARACTERS = 1_000
/** Tags of a server, user or token. */
export const MOST_TAGS = 16
/** Patterns of names in a rule or silence. */
export const MOST_PATTERNS = 100
/** Tags that a rule or silence asks for. */
export const MOST_SCOPE_TAGS = 32
const MOST_OF_SECRET = 1_000
const MOST_OF_EMAIL = 254
const UNITS_MS: Record<string, number> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS, y: 365 * DAY_MS }
// As the API server has it: also names without a dot, such as admin@localhost.
const EMAIL = /^[^\s@<>"',;:()[\]\\]+@[^\s@<>"',;:()[\]\\]+$/

export const checkedField = (isRight: (text: string) => boolean, message: string): Field => v.pipe(v.string(), v.trim(), v.check(text => text === '' || isRight(text), message))

export const needed = (t: Translate, field: Field = v.string()): Field => v.pipe(v.string(), v.check(value => value.trim() !== '', t('wrong.empty')), field)

export const textField = (t: Translate, most: number) => checkedField(({ length }) => length <= most, t('wrong.long', { count: most }))

export const matchingField = (pattern: RegExp, message: string) => checkedField(value => pattern.test(value), message)

/** Blanks at its ends belong to it. */
export function secretField(t: Translate, least = 0): Field {
  return v.pipe(
    v.string(),
    v.check(({ length }) => length === 0 || length >= least, t('wrong.short', { count: least })),
    v.maxLength(MOST_OF_SECRET, t('wrong.long', { count: MOST_OF_SECRET })),
  )
}

export const emailField = (t: Translate): Field => v.pipe(textField(t, MOST_OF_EMAIL), matchingField(EMAIL, t('wrong.email')))

/** `null`: it is none. The API takes one number with one unit. */
function durationMs(value: string): number | null {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(value.trim()) ?? []
  const unitMs = UNITS_MS[unit?.toLowerCase() ?? '']
  return unitMs === undefined ? null : Number(number) * unitMs
}

export function durationField(t: Translate, limits?: { least: string, most: string }): Field {
  const isDuration = checkedField(value => durationMs(value) !== null, t('wrong.duration'))
  if (!limits) return isDuration
  const [leastMs, mostMs] = [durationMs(limits.least)!, durationMs(limits.most)!]
  const isWithin = (ms: number) => ms >= leastMs && ms <= mostMs
  return v.pipe(isDuration, checkedField(value => isWithin(durationMs(value)!), t('wrong.range', limits)))
}

export function numberField(t: Translate, { least = -Infinity, most = Infinity, whole = false }: { least?: number, most?: number, whole?: boolean } = {}): Field {
  return v.pipe(
    checkedField(value => Number.isFinite(Number(value)), t('wrong.number')),
    checkedField(value => !whole || Number.isInteger(Number(value)), t('wrong.whole')),
    checkedField(value => Number(value) >= least, t('wrong.low', { count: least })),
    checkedField(value => Number(value) <= most, t('wrong.high', { count: most })),
  )
}

/** Separated by commas. */
export function listField(t: Translate, most: number, mostOfEach = Infinity): Field {
  return v.pipe(
    checkedField(value => splitList(value).length <= most, t('wrong.many', { count: most })),
    checkedField(value => splitList(value).every(({ length }) => length <= mostOfEach), t('wrong.longEach', { count: mostOfEach })),
  )
}

/** `site=seoul, role=db`, of tags or labels. */
export function tagsField(t: Translate, most: number): Field {
  return v.pipe(checkedField(isTags, t('tags.wrong')), checkedField(value => Object.keys(parseTags(value)).length <= most, t('wrong.many', { count: most })))
}

function isTags(value: string): boolean {
  try {
    parseTags(value)
    return true
  }
  catch {
    return false
  }
}

export const zoneField = (t: Translate) => checkedField(isTimeZone, t('wrong.zone'))

export const timeField = (t: Translate) => checkedField(value => fromLocalInput(value) !== null, t('wrong.time'))

/** At least one of some boxes. */
export const choiceField = (t: Translate) => v.pipe(v.array(v.union([v.string(), v.number()])), v.minLength(1, t('wrong.none')))
