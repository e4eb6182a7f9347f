import { unwrap } from './client'
import * as api from './generated'

export type ProcessLists = api.GetProcessesResponses[200]
export type ProcessInfo = ProcessLists['processes'][number]

/** The last list of a server that was taken at or before a time; `null`: now. */
export const fetchProcesses = (serverId: number, atMs: number | null, signal?: AbortSignal): Promise<ProcessLists> =>
  unwrap(api.getProcesses({ path: { server_id: serverId }, query: { at: atMs === null ? 'now' : String(Math.floor(atMs)) }, signal, throwOnError: true }))
