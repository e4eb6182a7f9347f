// The value of <input type="datetime-local">: a time in a zone, without one the browser's.

import { DAY_MS } from './units'

export function isTimeZone(name: string): boolean {
  if (name === '') return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  }
  catch {
    return false
  }
}

const COMPLETE = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/

/** The fields of a time in a zone as if they were UTC. */
function fieldsAt(timeMs: number, zone: string | undefined): number {
  const parts = new Intl.DateTimeFormat('en', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
  }).formatToParts(timeMs)
  const field = (type: string) => Number(parts.find(part => part.type === type)!.value)
  return Date.UTC(field('year'), field('month') - 1, field('day'), field('hour'), field('minute'), field('second'))
}

export function toLocalInput(timeMs: number, zone?: string): string {
  return new Date(fieldsAt(timeMs, zone)).toISOString().slice(0, 19)
}

/** `null`: it is empty or incomplete. A time that the clocks skip is later by as much as they skip; of one that comes twice, the first counts. */
export function fromLocalInput(value: string, zone?: string): number | null {
  if (!COMPLETE.test(value)) return null
  const fieldsMs = new Date(`${value}Z`).getTime()
  // The offset of the zone before and after a change of the clocks that may be near.
  const times = [-DAY_MS, DAY_MS].map(near => fieldsMs - (fieldsAt(fieldsMs + near, zone) - fieldsMs - near))
  const real = times.filter(time => fieldsAt(time, zone) === fieldsMs)
  return real.length > 0 ? Math.min(...real) : Math.max(...times)
}
