import { unwrap } from './client'
import * as api from './generated'

export type AlertPage = api.ListAlertHistoryResponses[200]
export type Alert = AlertPage['alerts'][number]
export type AlertSeverity = Alert['severity']
export type AlertRecord = api.GetAlertResponses[200]
export type AlertHistoryQuery = NonNullable<api.ListAlertHistoryData['query']>

/** All alerts that fire, most urgent first. */
export const listFiring = async (): Promise<Alert[]> =>
  (await unwrap(api.listActiveAlerts({ query: { state: 'firing' }, throwOnError: true }))).alerts

/** A page of all alerts, newest first. */
export const listAlertHistory = (query: AlertHistoryQuery): Promise<AlertPage> => unwrap(api.listAlertHistory({ query, throwOnError: true }))

export const getAlert = (id: number, language: NonNullable<api.GetAlertData['query']>['language']): Promise<AlertRecord> =>
  unwrap(api.getAlert({ path: { id }, query: { language }, throwOnError: true }))

export const acknowledgeAlert = (id: number, comment: string): Promise<Alert> =>
  unwrap(api.acknowledgeAlert({ path: { id }, body: { comment }, throwOnError: true }))
