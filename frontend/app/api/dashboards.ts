import { unwrap } from './client'
import * as api from './generated'

export type { Dashboard, DashboardInfo, DashboardSummary, DashboardTemplate, DashboardVersion, Grant, Variable, WidgetServers, WidgetSource, WidgetThreshold } from './generated'
export type Share = api.ListDashboardSharesResponses[200]['shares'][number]
export type NewShare = api.CreateDashboardShareData['body']
export type Widget = NonNullable<api.Dashboard['widgets']>[number]

export const listDashboards = async (): Promise<api.DashboardSummary[]> => (await unwrap(api.listDashboards({ throwOnError: true }))).dashboards

export const fetchDashboard = (id: number): Promise<api.DashboardInfo> => unwrap(api.getDashboard({ path: { id }, throwOnError: true }))

export const createDashboard = (body: api.NewDashboard): Promise<api.DashboardInfo> => unwrap(api.createDashboard({ body, throwOnError: true }))

/** `revision`: the one that was changed; a later one is not overwritten. */
export const saveDashboard = (id: number, dashboard: api.Dashboard, revision: number): Promise<api.DashboardInfo> =>
  unwrap(api.changeDashboard({ path: { id }, body: { dashboard, revision }, throwOnError: true }))

export const deleteDashboard = (id: number) => unwrap(api.deleteDashboard({ path: { id }, throwOnError: true }))

export const shareDashboard = (id: number, grants: api.Grant[]): Promise<api.DashboardInfo> =>
  unwrap(api.shareDashboard({ path: { id }, body: { grants }, throwOnError: true }))

export const listTemplates = async (): Promise<api.DashboardTemplate[]> => (await unwrap(api.listDashboardTemplates({ throwOnError: true }))).templates

export const listVersions = async (id: number): Promise<api.DashboardVersion[]> =>
  (await unwrap(api.listDashboardVersions({ path: { id }, throwOnError: true }))).versions

export const fetchVersion = (id: number, revision: number): Promise<api.Dashboard> =>
  unwrap(api.getDashboardVersion({ path: { id, revision }, throwOnError: true }))

export const listShares = async (id: number): Promise<Share[]> => (await unwrap(api.listDashboardShares({ path: { id }, throwOnError: true }))).shares

export const createShare = (id: number, body: NewShare): Promise<Share> => unwrap(api.createDashboardShare({ path: { id }, body, throwOnError: true }))

export const revokeShare = (id: number, shareId: number) => unwrap(api.deleteDashboardShare({ path: { id, share_id: shareId }, throwOnError: true }))
