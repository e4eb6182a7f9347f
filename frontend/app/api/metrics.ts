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

export const fetchCompleteness = (serverIds: number[]): Promise<api.GetCompletenessResponses[200]> =>
  unwrap(api.getCompleteness({ query: { server: serverIds, limit: serverIds.length }, throwOnError: true }))

/** The same as a table of text, with the names of the servers. */
export const fetchHistoryCsv = async (query: HistoryQuery): Promise<string> =>
  String(await unwrap(api.getMetricsHistory({ query: { ...query, format: 'csv' }, responseType: 'text', throwOnError: true })))
