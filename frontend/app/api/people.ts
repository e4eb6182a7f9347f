// People, API tokens, agents and the audit log: what the pages behind the account menu ask for.
import { unwrap } from './client'
import * as api from './generated'

export type Users = api.ListUsersResponses[200]['users']
export type NewUser = api.CreateUserData['body']
export type UserChange = api.UpdateUserData['body']
export type ApiTokens = api.ListApiTokensResponses[200]['tokens']
export type NewApiToken = api.CreateApiTokenData['body']
export type EnrolmentTokens = api.ListEnrolmentTokensResponses[200]['tokens']
export type NewEnrolment = api.CreateEnrolmentTokenData['body']
export type Sessions = api.ListSessionsResponses[200]['sessions']
export type SecondFactor = api.BeginSecondFactorResponses[200]
export type AuditPage = api.ListAuditEntriesResponses[200]
export type AuditEntry = AuditPage['entries'][number]
export type AuditQuery = NonNullable<api.ListAuditEntriesData['query']>

const throwOnError = true as const

export const listUsers = async (): Promise<Users> => (await unwrap(api.listUsers({ throwOnError }))).users
export const createUser = (body: NewUser) => unwrap(api.createUser({ body, throwOnError }))
export const updateUser = (id: number, body: UserChange) => unwrap(api.updateUser({ path: { user_id: id }, body, throwOnError }))
export const deleteUser = (id: number) => unwrap(api.deleteUser({ path: { user_id: id }, throwOnError }))

export const listApiTokens = async (): Promise<ApiTokens> => (await unwrap(api.listApiTokens({ throwOnError }))).tokens
export const createApiToken = (body: NewApiToken) => unwrap(api.createApiToken({ body, throwOnError }))
export const deleteApiToken = (id: number) => unwrap(api.deleteApiToken({ path: { token_id: id }, throwOnError }))

export const listEnrolments = async (): Promise<EnrolmentTokens> => (await unwrap(api.listEnrolmentTokens({ throwOnError }))).tokens
export const createEnrolment = (body: NewEnrolment) => unwrap(api.createEnrolmentToken({ body, throwOnError }))
export const deleteEnrolment = (id: number) => unwrap(api.deleteEnrolmentToken({ path: { token_id: id }, throwOnError }))
export const revokeAgent = (serverId: number) => unwrap(api.revokeAgent({ path: { server_id: serverId }, throwOnError }))
export const setServerTags = (serverId: number, tags: Record<string, string>) => unwrap(api.setServerTags({ path: { server_id: serverId }, body: { tags }, throwOnError }))

export const changePassword = (current: string, next: string) => unwrap(api.changePassword({ body: { current, new: next }, throwOnError }))
export const listSessions = async (): Promise<Sessions> => (await unwrap(api.listSessions({ throwOnError }))).sessions
export const endSession = (id: string) => unwrap(api.endSession({ path: { session_id: id }, throwOnError }))
export const endSessions = () => unwrap(api.endSessions({ throwOnError }))
export const beginSecondFactor = (password: string) => unwrap(api.beginSecondFactor({ body: { password }, throwOnError }))
export const confirmSecondFactor = (code: string) => unwrap(api.confirmSecondFactor({ body: { code }, throwOnError }))
export const deleteSecondFactor = (password: string) => unwrap(api.deleteSecondFactor({ body: { password }, throwOnError }))
export const fetchAccount = () => unwrap(api.getAccount({ throwOnError }))

export const fetchAudit = (query: AuditQuery): Promise<AuditPage> => unwrap(api.listAuditEntries({ query, throwOnError }))
