// The account of the logged-in user: password, second factor and login sessions.
import { unwrap } from './client'
import * as api from './generated'

export type LoginSession = api.ListSessionsResponses[200]['sessions'][number]
export type SecondFactor = api.BeginSecondFactorResponses[200]

export const fetchAccount = () => unwrap(api.getAccount({ throwOnError: true }))

export const changePassword = (currentPassword: string, newPassword: string) =>
  unwrap(api.changePassword({ body: { current: currentPassword, new: newPassword }, throwOnError: true }))

export const listSessions = async (): Promise<LoginSession[]> => (await unwrap(api.listSessions({ throwOnError: true }))).sessions

export const endSession = (sessionId: string) => unwrap(api.endSession({ path: { session_id: sessionId }, throwOnError: true }))

export const endAllSessions = () => unwrap(api.endSessions({ throwOnError: true }))

export const beginSecondFactor = (password: string) => unwrap(api.beginSecondFactor({ body: { password }, throwOnError: true }))

export const confirmSecondFactor = (code: string) => unwrap(api.confirmSecondFactor({ body: { code }, throwOnError: true }))

export const deleteSecondFactor = (password: string) => unwrap(api.deleteSecondFactor({ body: { password }, throwOnError: true }))
