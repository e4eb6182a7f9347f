import { computed, onScopeDispose, useId, watch } from 'vue'
import type { Ref } from 'vue'
import type { WindowRequest } from '~/stores/metrics'

/** Opens a history window in the metrics store for as long as the caller lives. A changed request is fetched again. */
export function useHistory(request: Ref<WindowRequest>) {
  const metrics = useMetricsStore()
  const key = useId()
  watch(() => JSON.stringify(request.value), () => void metrics.openWindow(key, request.value), { immediate: true })
  onScopeDispose(() => metrics.closeWindow(key))
  return { historyWindow: computed(() => metrics.windows.get(key) ?? null), refetch: () => metrics.fetchWindow(key) }
}
