// Dashboards in turn, as the URL says: /dashboards/3?kiosk=3,5,8&every=30.

export interface Kiosk {
  ids: readonly number[]
  /** How long each is shown. */
  seconds: number
}

export const KIOSK_SECONDS = [15, 30, 60, 300] as const
const USUAL_SECONDS = 30
const SHORTEST_SECONDS = 5
const LONGEST_SECONDS = 3_600

/** `null`: no kiosk. */
export function readKiosk(query: Record<string, unknown>): Kiosk | null {
  if (typeof query.kiosk !== 'string') return null
  const ids = [...new Set(query.kiosk.split(',').map(Number).filter(id => Number.isInteger(id) && id > 0))]
  const seconds = Number(query.every)
  return ids.length === 0 ? null : { ids, seconds: seconds >= SHORTEST_SECONDS && seconds <= LONGEST_SECONDS ? seconds : USUAL_SECONDS }
}

export const kioskQuery = ({ ids, seconds }: Kiosk): Record<string, string> => ({ kiosk: ids.join(','), every: String(seconds) })

/** The one after (or before) another, round and round. */
export function nextOf(ids: readonly number[], id: number, step: 1 | -1): number {
  const at = ids.indexOf(id)
  return ids[(at < 0 ? 0 : at + step + ids.length) % ids.length]!
}
