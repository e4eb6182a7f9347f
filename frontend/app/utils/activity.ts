// What the API server that answers tells of its own work. All totals begin with its start.
import type { Health } from '~/api/health'

export interface Rates { frames: number, samples: number }

/** Stored per second, since the answer before; since the start, if that is the first one, or another API server gave it. */
export function ingestRates(now: Health, before: Health | null): Rates | null {
  const { ingest, uptime_seconds: upSeconds } = now
  if (!ingest || !upSeconds) return null
  const since = before?.ingest && before.uptime_seconds && startOf(before) === startOf(now) && before.uptime_seconds < upSeconds
    ? { frames: before.ingest.frames_total, samples: before.ingest.samples_total, seconds: before.uptime_seconds }
    : { frames: 0, samples: 0, seconds: 0 }
  const seconds = upSeconds - since.seconds
  return { frames: (ingest.frames_total - since.frames) / seconds, samples: (ingest.samples_total - since.samples) / seconds }
}

/** When the API server started, to the second: two of them do not start together. */
function startOf({ time_ms: timeMs, uptime_seconds: upSeconds }: Health): number {
  return Math.round(timeMs / 1000 - (upSeconds ?? 0))
}

export interface Drop {
  /** `early`: before the request reached an endpoint. `live`: frames for connections that were too slow. */
  what: 'requests' | 'samples' | 'early' | 'live'
  /** Of an error; empty: there is a single reason. */
  code: string
  count: number
}

/** What was not stored or not sent since the start, most first. */
export function dropsOf({ ingest, live, refused_total: early }: Health): Drop[] {
  const byCode: [Drop['what'], Record<string, number>][] = [
    ['requests', ingest?.rejected_total ?? {}],
    ['samples', ingest?.samples_refused_total ?? {}],
    ['early', early ?? {}],
    ['live', { '': live?.dropped_frames_total ?? 0 }],
  ]
  return byCode
    .flatMap(([what, counts]) => Object.entries(counts).map(([code, count]) => ({ what, code, count })))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
}
