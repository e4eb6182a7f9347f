import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { listServers } from '~/api/servers'
import type { Server, ServerState } from '~/api/servers'

const REMEMBERED = 'bongsu.server'
const STATE_ORDER: Record<ServerState, number> = { down: 0, late: 1, up: 2 }

/** What is wrong comes first, then by name. */
export function sortServers(servers: readonly Server[]): Server[] {
  return [...servers].sort((a, b) => STATE_ORDER[a.state] - STATE_ORDER[b.state] || a.name.localeCompare(b.name))
}

export const useServersStore = defineStore('servers', () => {
  const servers = shallowRef<Server[]>([])
  /** False until the first answer: no servers and not known yet are different things. */
  const loaded = ref(false)
  const rememberedId = ref(readRemembered())

  const byId = computed(() => new Map(servers.value.map(server => [server.id, server])))
  const troubled = computed(() => servers.value.filter(server => server.state !== 'up'))

  /** Where to go when the address names no server: the last one chosen, else the first that has something to show. */
  const initial = computed(() => byId.value.get(rememberedId.value ?? -1)
    ?? servers.value.find(server => server.state === 'up') ?? servers.value[0] ?? null)

  function apply(list: readonly Server[]): void {
    servers.value = sortServers(list)
    loaded.value = true
  }

  async function refresh(): Promise<void> {
    apply(await listServers())
  }

  function remember(id: number): void {
    rememberedId.value = id
    try {
      localStorage.setItem(REMEMBERED, String(id))
    }
    catch { /* storage is blocked: remembered until the page closes */ }
  }

  return { servers, loaded, byId, troubled, initial, apply, refresh, remember }
})

function readRemembered(): number | null {
  try {
    const id = Number(localStorage.getItem(REMEMBERED))
    return Number.isInteger(id) && id > 0 ? id : null
  }
  catch {
    return null
  }
}
