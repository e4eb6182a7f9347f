// Histories that are asked for together: a page of widgets makes one request.
import { ApiError, unwrap } from './client'
import * as api from './generated'
import { fetchHistory } from './metrics'
import type { HistoryQuery, MetricsHistory } from './metrics'

// Widgets that are drawn together ask within this time; as many, and as much, as the API server takes in one request (64 KiB).
const TOGETHER_MS = 10
const MOST_TOGETHER = 60
const MOST_BYTES = 48 * 1024
const encoder = new TextEncoder()
const TIMEOUT_MS = 30_000

/** A request on its way. `waiting`: how many of its queries somebody still waits for. */
interface Batch { controller: AbortController, waiting: number }

class Asked {
  readonly answer: Promise<MetricsHistory>
  resolve!: (answer: MetricsHistory) => void
  reject!: (cause: unknown) => void
  users = 0
  batch: Batch | null = null

  constructor(readonly query: HistoryQuery) {
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

const underWay = new Map<string, Asked>()
let next: Asked[] = []

/**
 * The same query of several is asked once, and different ones go in one request, for which the API server reads once what they have in
 * common. A query that fails costs only itself. A request is aborted when nobody waits for any of its answers any more.
 */
export function fetchHistoryShared(query: HistoryQuery, signal: AbortSignal): Promise<MetricsHistory> {
  const key = JSON.stringify(query)
  const mine = underWay.get(key) ?? ask(key, query)
  const forget = () => { if (underWay.get(key) === mine) underWay.delete(key) }
  mine.users++
  mine.answer.then(forget, forget)
  signal.addEventListener('abort', () => {
    if (--mine.users > 0) return
    forget()
    if (mine.batch && --mine.batch.waiting === 0) mine.batch.controller.abort()
  })
  return mine.answer
}

function ask(key: string, query: HistoryQuery): Asked {
  const asked = new Asked(query)
  underWay.set(key, asked)
  if (next.push(asked) === 1) setTimeout(askAll, TOGETHER_MS)
  return asked
}

function askAll(): void {
  const wanted = next.filter(({ users }) => users > 0)
  next = []
  let together: Asked[] = []
  let bytes = 0
  for (const asked of wanted) {
    const size = encoder.encode(JSON.stringify(asked.query)).length
    if (together.length === MOST_TOGETHER || (together.length > 0 && bytes + size > MOST_BYTES)) {
      void askTogether(together)
      together = []
      bytes = 0
    }
    together.push(asked)
    bytes += size
  }
  if (together.length > 0) void askTogether(together)
}

async function askTogether(asked: readonly Asked[]): Promise<void> {
  const batch = { controller: new AbortController(), waiting: asked.length }
  asked.forEach((item) => { item.batch = batch })
  const { signal } = batch.controller
  try {
    const [first] = asked
    if (asked.length === 1) return first!.resolve(await fetchHistory(first!.query, signal))
    const body = { queries: asked.map(({ query }) => query) } as api.HistoryRequests
    const { answers } = await unwrap(api.getMetricsHistories({ body, signal, timeout: TIMEOUT_MS, throwOnError: true }))
    asked.forEach((item, i) => {
      const answer = answers[i]!
      if ('error' in answer) item.reject(new ApiError(answer.error.code, answer.error.message, null, answer.error.field, answer.error.limit))
      else item.resolve(answer)
    })
  }
  catch (cause) {
    asked.forEach(item => item.reject(cause))
  }
}
