import { unwrap } from './client'
import * as api from './generated'

export type CurrentMetrics = api.GetCurrentMetricsResponses[200]
export type CurrentSeries = CurrentMetrics['servers'][number]['series'][number]
/** A series as the live stream has it, too. */
export type LiveSeries = Omit<CurrentSeries, 'type'>
export type MetricsHistory = api.GetMetricsHistoryResponses[200]
export type HistorySeries = MetricsHistory['series'][number]
export type HistoryQuery = NonNullable<api.GetMetricsHistoryData['query']>

export const fetchCurrent = (serverId: number): Promise<CurrentMetrics> =>
  unwrap(api.getCurrentMetrics({ query: { server: [serverId] }, throwOnError: true }))

/** The current values of some series. */
export const fetchSelected = (query: NonNullable<api.GetCurrentMetricsData['query']>): Promise<CurrentMetrics> =>
  unwrap(api.getCurrentMetrics({ query, throwOnError: true }))

/** The current values of some metrics of all servers. */
export const fetchFleet = (metrics: readonly string[]): Promise<CurrentMetrics> => fetchSelected({ metric: [...metrics] })

export const fetchHistory = (query: HistoryQuery, signal?: AbortSignal): Promise<MetricsHistory> =>
  unwrap(api.getMetricsHistory({ query, signal, throwOnError: true }))

const underWay = new Map<string, { answer: Promise<MetricsHistory>, users: number, controller: AbortController }>()

/** The same for several that ask the same at once: they share a request, which is aborted when nobody waits for it any more. */
export function fetchHistoryShared(query: HistoryQuery, signal: AbortSignal): Promise<MetricsHistory> {
  const key = JSON.stringify(query)
  let shared = underWay.get(key)
  if (!shared) {
    const controller = new AbortController()
    shared = { answer: fetchHistory(query, controller.signal).finally(() => underWay.delete(key)), users: 0, controller }
    underWay.set(key, shared)
  }
  const mine = shared
  mine.users++
  signal.addEventListener('abort', () => {
    if (--mine.users > 0) return
    mine.controller.abort()
    if (underWay.get(key) === mine) underWay.delete(key)
  })
  return mine.answer
}

export const fetchCompleteness = (serverIds: number[]): Promise<api.GetCompletenessResponses[200]> =>
  unwrap(api.getCompleteness({ query: { server: serverIds, limit: serverIds.length }, throwOnError: true }))

/** The same as a table of text, with the names of the servers. */
export const fetchHistoryCsv = async (query: HistoryQuery): Promise<string> =>
  String(await unwrap(api.getMetricsHistory({ query: { ...query, format: 'csv' }, responseType: 'text', throwOnError: true })))
