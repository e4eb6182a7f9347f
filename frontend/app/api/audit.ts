import { unwrap } from './client'
import * as api from './generated'

export type AuditPage = api.ListAuditEntriesResponses[200]
export type AuditEntry = AuditPage['entries'][number]
export type AuditQuery = NonNullable<api.ListAuditEntriesData['query']>

export const listAuditEntries = (query: AuditQuery): Promise<AuditPage> => unwrap(api.listAuditEntries({ query, throwOnError: true }))
