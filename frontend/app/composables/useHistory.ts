import { computed, onScopeDispose, useId, watch } from 'vue'
import type { Ref } from 'vue'
import type { WindowRequest } from '~/stores/metrics'

/** Opens a history window in the metrics store for as long as the caller lives. A changed request is fetched again. `null`: there is none. */
export function useHistory(request: Ref<WindowRequest | null>) {
  const metrics = useMetricsStore()
  const key = useId()
  watch(() => JSON.stringify(request.value), () => {
    if (request.value) void metrics.openWindow(key, request.value)
    else metrics.closeWindow(key)
  }, { immediate: true })
  onScopeDispose(() => metrics.closeWindow(key))
  return { historyWindow: computed(() => metrics.windows.get(key) ?? null), refetch: () => metrics.fetchWindow(key) }
}
