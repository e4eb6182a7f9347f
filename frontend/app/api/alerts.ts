import { unwrap } from './client'
import * as api from './generated'

export type Alert = api.ListActiveAlertsResponses[200]['alerts'][number]
export type AlertSeverity = Alert['severity']

/** All alerts that fire, most urgent first. */
export const listFiring = async (): Promise<Alert[]> =>
  (await unwrap(api.listActiveAlerts({ query: { state: 'firing' }, throwOnError: true }))).alerts
