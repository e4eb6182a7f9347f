// The only file that knows the generated client: it turns failures into ApiError and gives the answers short names.
// Types come from the operations and not from schema names, so a renamed schema on the API server changes nothing here.
import { isAxiosError } from 'axios'
import { getCurrentMetrics, getMetricsHistory, listServers } from './generated'
import type { GetCurrentMetricsResponses, GetMetricsHistoryData, GetMetricsHistoryResponses, ListServersResponses } from './generated'
import { client } from './generated/client.gen'

export type ServerList = ListServersResponses[200]
export type Server = ServerList['servers'][number]
export type ServerState = Server['state']
export type CurrentMetrics = GetCurrentMetricsResponses[200]
export type ServerCurrent = CurrentMetrics['servers'][number]
export type CurrentSeries = ServerCurrent['series'][number]
export type MetricHistory = GetMetricsHistoryResponses[200]
export type HistorySeries = MetricHistory['series'][number]
export type HistoryQuery = NonNullable<GetMetricsHistoryData['query']>

const TIMEOUT_MS = 10_000

/** `network`: no answer at all; otherwise the stable code of the API's error body. */
export class ApiError extends Error {
  constructor(readonly code: string, message: string, readonly status: number | null, readonly field: string | null = null) {
    super(message)
    this.name = 'ApiError'
  }
}

export function configureClient(origin: string): void {
  client.setConfig({ baseURL: origin, timeout: TIMEOUT_MS })
}

/** All of them, page by page. */
export async function fetchServers(): Promise<Server[]> {
  const found: Server[] = []
  let cursor: number | undefined
  do {
    const page = await unwrap(listServers({ query: { cursor }, throwOnError: true }))
    found.push(...page.servers.map(withInterval))
    cursor = page.next === null ? undefined : Number(page.next)
  } while (cursor !== undefined)
  return found
}

// 0: the agent does not say how often it samples. The API server assumes the same for the state.
const DEFAULT_INTERVAL_MS = 10_000

function withInterval(server: Server): Server {
  return { ...server, interval_ms: server.interval_ms || DEFAULT_INTERVAL_MS }
}

export async function fetchCurrent(serverId: number): Promise<CurrentMetrics> {
  return unwrap(getCurrentMetrics({ query: { server: [serverId] }, throwOnError: true }))
}

export async function fetchHistory(query: HistoryQuery, signal?: AbortSignal): Promise<MetricHistory> {
  return unwrap(getMetricsHistory({ query, signal, throwOnError: true }))
}

export async function unwrap<T>(request: Promise<{ data: T }>): Promise<T> {
  try {
    return (await request).data
  }
  catch (error) {
    throw toApiError(error)
  }
}

export function toApiError(error: unknown): ApiError {
  if (!isAxiosError(error)) return new ApiError('unexpected', String(error), null)
  const status = error.response?.status ?? null
  const detail = errorDetail(error.response?.data)
  return new ApiError(detail?.code ?? (status === null ? 'network' : `http_${status}`), detail?.message ?? error.message, status, detail?.field ?? null)
}

// A proxy in between may answer with HTML: trust nothing about the body.
function errorDetail(body: unknown): { code: string, message: string, field: string | null } | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null
  const { error } = body
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return null
  const field = 'field' in error && typeof error.field === 'string' ? error.field : null
  return { code: String(error.code), message: String(error.message), field }
}
