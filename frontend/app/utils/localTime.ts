// The value of <input type="datetime-local">: a time in the zone of the browser.
import { MINUTE_MS } from './units'

export function toLocalInput(timeMs: number): string {
  const offsetMs = new Date(timeMs).getTimezoneOffset() * MINUTE_MS
  return new Date(timeMs - offsetMs).toISOString().slice(0, 19)
}

/** `null`: it is empty or incomplete. */
export function fromLocalInput(value: string): number | null {
  const timeMs = new Date(value).getTime()
  return Number.isNaN(timeMs) ? null : timeMs
}
