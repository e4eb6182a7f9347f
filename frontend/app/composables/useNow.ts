import { createSharedComposable, useDocumentVisibility, useIntervalFn } from '@vueuse/core'
import { computed, ref, watch } from 'vue'

const useTick = createSharedComposable(() => {
  const nowMs = ref(Date.now())
  const { pause, resume } = useIntervalFn(() => {
    nowMs.value = Date.now()
  }, 1_000)
  watch(useDocumentVisibility(), (visibility) => {
    if (visibility === 'hidden') return pause()
    nowMs.value = Date.now()
    resume()
  })
  return nowMs
})

/** The API server's time in Unix ms, updated every second. All callers share one timer, which stops while the page is hidden. */
export function useNow() {
  const tick = useTick()
  const metrics = useMetricsStore()
  return computed(() => tick.value + metrics.clockOffsetMs)
}
