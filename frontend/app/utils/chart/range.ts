import type { Server } from '~/api/servers'
import { isSilent } from '../state'
import { MINUTE_MS } from '../units'

// A server that has just been added gets a chart of at least this length, rather than one a few pixels wide.
const MIN_RANGE_MS = 2 * MINUTE_MS

/** Where the time axis starts: one range before the end, or when the server was first seen if that is later. */
export function rangeStart(endMs: number, rangeMs: number, firstSeenMs: number): number {
  return Math.max(endMs - rangeMs, Math.min(firstSeenMs, endMs - MIN_RANGE_MS))
}

/** `null` while the server sends data: the history ends now. The history of a server that sends nothing ends with its last data. */
export function rangeEnd(server: Server): number | null {
  return isSilent(server.state) ? server.last_seen_ms : null
}
