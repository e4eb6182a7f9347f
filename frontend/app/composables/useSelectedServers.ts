import { computed } from 'vue'
import type { ComputedRef } from 'vue'
import type { WidgetServers } from '~/api/dashboards'
import type { Server } from '~/api/servers'
import { selectionOf } from '~/utils/dashboards'
import { selectServers } from '~/utils/selectServers'

/** The servers that a widget selects. */
export function useSelectedServers(servers: () => WidgetServers | undefined): ComputedRef<Server[]> {
  const store = useServersStore()
  const { choices, shared } = useDashboard()
  const id = useWidgetId()
  return computed(() => {
    if (!shared) return selectServers(store.servers, selectionOf({ servers: servers() }, choices.value))
    const ids = new Set(shared.present.value?.widgets[id]?.servers)
    return store.servers.filter(server => ids.has(server.id))
  })
}
