import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { listServers } from '~/api/servers'
import type { Server, ServerState } from '~/api/servers'

const STATE_ORDER: Record<ServerState, number> = { down: 0, late: 1, up: 2, retired: 3 }

/** Servers with problems come first, then by name. */
export function sortServers(servers: readonly Server[]): Server[] {
  return [...servers].sort((a, b) => STATE_ORDER[a.state] - STATE_ORDER[b.state] || a.name.localeCompare(b.name))
}

export const useServersStore = defineStore('servers', () => {
  const all = shallowRef<Server[]>([])
  const servers = computed(() => all.value.filter(server => server.state !== 'retired'))
  /** Tells an empty list from one that has not been fetched yet. */
  const loaded = ref(false)

  const byId = computed(() => new Map(all.value.map(server => [server.id, server])))
  const notUp = computed(() => servers.value.filter(server => server.state !== 'up'))

  /** The only server, whose page is the home. */
  const only = computed(() => (servers.value.length === 1 ? servers.value[0]! : null))

  function get(id: number | null): Server | null {
    return id === null ? null : byId.value.get(id) ?? null
  }

  function apply(list: readonly Server[]): void {
    all.value = sortServers(list)
    loaded.value = true
  }

  /** Takes over what the live stream says of servers. Returns whether all are in the list. */
  function applyStates(states: ReadonlyMap<number, { state: ServerState, lastSeenMs: number }>): boolean {
    const known = [...states.keys()].filter(id => byId.value.has(id))
    // A list that could not be fetched stays one: it is not loaded because the stream tells of servers.
    if (known.length > 0) {
      apply(all.value.map((server) => {
        const { state, lastSeenMs } = states.get(server.id) ?? { state: server.state, lastSeenMs: 0 }
        return state === server.state && lastSeenMs <= server.last_seen_ms ? server : { ...server, state, last_seen_ms: Math.max(server.last_seen_ms, lastSeenMs) }
      }))
    }
    return known.length === states.size
  }

  /** Why the list could not be fetched the last time; `null`: it could. */
  const failure = shallowRef<unknown>(null)

  async function refresh(): Promise<void> {
    try {
      apply(await listServers())
      failure.value = null
    }
    catch (error) {
      failure.value = error
      throw error
    }
  }

  return { all, servers, loaded, failure, notUp, only, get, apply, applyStates, refresh }
})
