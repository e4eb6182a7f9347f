// The value of <input type="datetime-local">: a time in a zone, without one the browser's.

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

/** `null`: it is empty or incomplete. */
export function fromLocalInput(value: string, zone?: string): number | null {
  if (!COMPLETE.test(value)) return null
  const fieldsMs = new Date(`${value}Z`).getTime()
  const first = fieldsMs - (fieldsAt(fieldsMs, zone) - fieldsMs)
  // The offset may be another one there, around the change of the clocks.
  return fieldsMs - (fieldsAt(first, zone) - first)
}
