import { unwrap } from './client'
import * as api from './generated'

export type ServerPage = api.ListServersResponses[200]
export type Server = ServerPage['servers'][number]
export type ServerState = Server['state']

/** Assumed when an agent does not report its interval (0); the API server assumes the same when it decides a server's state. */
export const DEFAULT_INTERVAL_MS = 10_000

/** Fetches every page of the list, with retired servers. */
export async function listServers(): Promise<Server[]> {
  const servers: Server[] = []
  let cursor: string | null = null
  do {
    const page: ServerPage = await unwrap(api.listServers({ query: { ...(cursor === null ? {} : { cursor }), retired: true }, throwOnError: true }))
    servers.push(...page.servers.map(withInterval))
    cursor = page.next
  } while (cursor !== null)
  return servers
}

function withInterval(server: Server): Server {
  return { ...server, interval_ms: server.interval_ms || DEFAULT_INTERVAL_MS }
}

export const setServerTags = (serverId: number, tags: Record<string, string>) =>
  unwrap(api.setServerTags({ path: { server_id: serverId }, body: { tags }, throwOnError: true }))

export const retireServer = (serverId: number) => unwrap(api.retireServer({ path: { server_id: serverId }, throwOnError: true }))

export const restoreServer = (serverId: number) => unwrap(api.restoreServer({ path: { server_id: serverId }, throwOnError: true }))

export const deleteServer = (serverId: number) => unwrap(api.deleteServer({ path: { server_id: serverId }, throwOnError: true }))
