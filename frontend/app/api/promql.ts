import type { PromQLQuery, PromQLRow } from '~/utils/promql'
import { stepMs, withVariables } from '~/utils/promql'
import { SECOND_MS } from '~/utils/units'
import { unwrap } from './client'
import * as api from './generated'

// As long as the API server takes at most.
const TIMEOUT_MS = 35_000

export interface PromQLAnswer {
  rows: PromQLRow[]
  /** Why the answer is not exact, in English. */
  warnings: string[]
  startMs: number
  endMs: number
  stepMs: number
}

/** `intervalMs`: how often samples come. */
export async function fetchPromQL(query: PromQLQuery, intervalMs: number, signal?: AbortSignal): Promise<PromQLAnswer> {
  const now = Date.now()
  const [from, to] = query.between ?? [now - query.rangeMs, now]
  const step = stepMs(to - from, query.points)
  // The same steps at every refresh, so that lines do not tremble.
  const [startMs, endMs] = [Math.ceil(from / step) * step, Math.floor(to / step) * step]
  const asked = { query: withVariables(query.text, step, intervalMs), start: String(startMs / SECOND_MS), end: String(endMs / SECOND_MS), step: String(step / SECOND_MS) }
  const answer = await unwrap(api.promqlQueryRange({ query: asked, signal, timeout: TIMEOUT_MS, throwOnError: true })) as { data: { result: PromQLRow[] }, warnings?: string[] }
  return { rows: answer.data.result, warnings: answer.warnings ?? [], startMs, endMs, stepMs: step }
}
