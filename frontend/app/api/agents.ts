// Enrolment tokens, and the tokens that agents got for them.
import { unwrap } from './client'
import * as api from './generated'

export type EnrolmentToken = api.ListEnrolmentTokensResponses[200]['tokens'][number]
export type NewEnrolmentToken = api.CreateEnrolmentTokenData['body']

export const listEnrolmentTokens = async (): Promise<EnrolmentToken[]> => (await unwrap(api.listEnrolmentTokens({ throwOnError: true }))).tokens

export const createEnrolmentToken = (body: NewEnrolmentToken) => unwrap(api.createEnrolmentToken({ body, throwOnError: true }))

export const deleteEnrolmentToken = (tokenId: number) => unwrap(api.deleteEnrolmentToken({ path: { token_id: tokenId }, throwOnError: true }))

export const revokeAgent = (serverId: number) => unwrap(api.revokeAgent({ path: { server_id: serverId }, throwOnError: true }))
