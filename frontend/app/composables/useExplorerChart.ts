import { useDocumentVisibility, useIntervalFn } from '@vueuse/core'
import { onScopeDispose, ref, shallowRef, watch } from 'vue'
import type { Ref } from 'vue'
import type { MetricsHistory } from '~/api/metrics'
import { SECOND_MS } from '~/utils/units'

const REFRESH_MS = 10 * SECOND_MS

/** What `fetch` answers to a query, fetched again when the query changes, and now and then while it is `live`. The old answer stays until then. `null`: nothing is asked. */
export function useExplorerChart<Query>(query: Ref<Query | null>, live: Ref<boolean>, fetch: (query: Query, signal: AbortSignal) => Promise<MetricsHistory>) {
  const errorText = useErrorText()
  const visibility = useDocumentVisibility()
  const answer = shallowRef<MetricsHistory | null>(null)
  const error = ref('')
  const loading = ref(false)
  let controller: AbortController | null = null

  async function load(): Promise<void> {
    controller?.abort()
    if (query.value === null) {
      controller = null
      answer.value = null
      loading.value = false
      error.value = ''
      return
    }
    const mine = controller = new AbortController()
    loading.value = true
    try {
      const found = await fetch(query.value, mine.signal)
      if (controller !== mine) return
      answer.value = found
      error.value = ''
    }
    catch (cause) {
      if (controller === mine) error.value = errorText(cause)
    }
    finally {
      if (controller === mine) loading.value = false
    }
  }

  watch(() => JSON.stringify(query.value), load, { immediate: true })
  useIntervalFn(() => {
    if (live.value && query.value !== null && visibility.value === 'visible' && !loading.value) void load()
  // A chart of a year has nothing new every 10 s.
  }, () => Math.max(REFRESH_MS, answer.value?.step_ms ?? 0))
  onScopeDispose(() => controller?.abort())
  return { answer, error, loading, load }
}
