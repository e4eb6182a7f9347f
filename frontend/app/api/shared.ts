// A dashboard that is shared by link. Nobody is logged in: a link with a password needs a pass.
import type { MetricsHistory } from './metrics'
import { unwrap } from './client'
import * as api from './generated'

export type SharedDashboard = api.GetSharedDashboardResponses[200]
export type SharedPresent = api.GetSharedPresentResponses[200]
export type SharedHistoryQuery = api.GetSharedHistoryData['query']
export type Pass = api.UnlockSharedDashboardResponses[200]

const headersOf = (pass: string) => (pass ? { Authorization: `Bearer ${pass}` } : {})

export const fetchShared = (key: string, pass: string): Promise<SharedDashboard> =>
  unwrap(api.getSharedDashboard({ path: { key }, headers: headersOf(pass), throwOnError: true }))

export const fetchSharedPresent = (key: string, pass: string): Promise<SharedPresent> =>
  unwrap(api.getSharedPresent({ path: { key }, headers: headersOf(pass), throwOnError: true }))

export const fetchSharedHistory = (key: string, pass: string, query: SharedHistoryQuery, signal: AbortSignal): Promise<MetricsHistory> =>
  unwrap(api.getSharedHistory({ path: { key }, query, headers: headersOf(pass), signal, throwOnError: true }))

export const unlockShared = (key: string, password: string): Promise<Pass> =>
  unwrap(api.unlockSharedDashboard({ path: { key }, body: { password }, throwOnError: true }))
