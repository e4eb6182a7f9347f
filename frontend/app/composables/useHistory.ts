import { computed, onScopeDispose, useId, watch } from 'vue'
import type { Ref } from 'vue'
import type { Server } from '~/api/servers'
import type { WindowRequest } from '~/stores/metrics'

/** A server that is down has nothing new to show: what it did before it went silent is what one wants to see. */
export function historyEnd(server: Server): number | null {
  return server.state === 'down' ? server.last_seen_ms : null
}

/** A history window of the metrics store, opened while the caller lives; a new request (range, metrics, server) fetches anew. */
export function useHistory(request: Ref<WindowRequest | null>) {
  const metrics = useMetricsStore()
  const key = useId()
  watch(() => JSON.stringify(request.value), () => {
    if (request.value === null) metrics.closeWindow(key)
    else void metrics.openWindow(key, request.value)
  }, { immediate: true })
  onScopeDispose(() => metrics.closeWindow(key))
  return { window: computed(() => metrics.windows.get(key) ?? null), refetch: () => metrics.fetchWindow(key) }
}
