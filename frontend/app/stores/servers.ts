import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { listServers } from '~/api/servers'
import type { Server, ServerState } from '~/api/servers'

const STORAGE_KEY = 'bongsu.server'
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
  const rememberedId = ref(readRememberedId())

  const byId = computed(() => new Map(all.value.map(server => [server.id, server])))
  const notUp = computed(() => servers.value.filter(server => server.state !== 'up'))

  /** The server to open when the URL names none: the last one opened, or else one that is up. */
  const initial = computed(() => servers.value.find(server => server.id === rememberedId.value)
    ?? servers.value.find(server => server.state === 'up') ?? servers.value[0] ?? null)

  function get(id: number | null): Server | null {
    return id === null ? null : byId.value.get(id) ?? null
  }

  function apply(list: readonly Server[]): void {
    all.value = sortServers(list)
    loaded.value = true
  }

  /** Takes over what the live stream says of a server. Returns whether it is in the list. */
  function applyState(id: number, state: ServerState, lastSeenMs: number): boolean {
    if (!byId.value.has(id)) return false
    apply(all.value.map(server => (server.id === id ? { ...server, state, last_seen_ms: Math.max(server.last_seen_ms, lastSeenMs) } : server)))
    return true
  }

  async function refresh(): Promise<void> {
    apply(await listServers())
  }

  function remember(id: number): void {
    rememberedId.value = id
    try {
      localStorage.setItem(STORAGE_KEY, String(id))
    }
    catch { /* storage is blocked: remembered until the page closes */ }
  }

  return { all, servers, loaded, notUp, initial, get, apply, applyState, refresh, remember }
})

function readRememberedId(): number | null {
  try {
    const id = Number(localStorage.getItem(STORAGE_KEY))
    return Number.isInteger(id) && id > 0 ? id : null
  }
  catch {
    return null
  }
}
