import { unwrap } from './client'
import * as api from './generated'

export type NotificationPage = api.ListAlertNotificationsResponses[200]
export type NotificationInfo = NotificationPage['notifications'][number]
export type NotificationState = NotificationInfo['state']
export type NotificationQuery = NonNullable<api.ListAlertNotificationsData['query']>

/** A page, newest first. */
export const listNotifications = (query: NotificationQuery): Promise<NotificationPage> => unwrap(api.listAlertNotifications({ query, throwOnError: true }))

/** Tries a dead letter again, as often as a new one. */
export const sendAgain = (id: number): Promise<NotificationInfo> => unwrap(api.sendAlertNotificationAgain({ path: { id }, throwOnError: true }))
