import { unwrap } from './client'
import * as api from './generated'

export type ApiToken = api.ListApiTokensResponses[200]['tokens'][number]
/** A role, or `writer`: it may only write samples. */
export type Scope = ApiToken['scope']
export type NewApiToken = api.CreateApiTokenData['body']

export const listApiTokens = async (): Promise<ApiToken[]> => (await unwrap(api.listApiTokens({ throwOnError: true }))).tokens

export const createApiToken = (body: NewApiToken) => unwrap(api.createApiToken({ body, throwOnError: true }))

export const deleteApiToken = (tokenId: number) => unwrap(api.deleteApiToken({ path: { token_id: tokenId }, throwOnError: true }))
