import { useEventListener, useIntervalFn } from '@vueuse/core'
import { computed, ref, watch } from 'vue'
import type { Ref } from 'vue'
import { kioskQuery, nextOf, readKiosk } from '~/utils/kiosk'
import { SECOND_MS } from '~/utils/units'

/** Dashboards that take turns on a screen that nobody touches; the URL says which, and for how long each. */
export function useKiosk(id: Ref<number>) {
  const route = useRoute()
  const kiosk = computed(() => readKiosk(route.query))
  const paused = ref(false)
  let shownSeconds = 0

  function show(step: 1 | -1): void {
    const next = kiosk.value && nextOf(kiosk.value.ids, id.value, step)
    if (next && next !== id.value) void navigateTo({ path: `/dashboards/${next}`, query: kioskQuery(kiosk.value!) }, { replace: true })
  }

  function leave(): void {
    if (document.fullscreenElement) void document.exitFullscreen()
    void navigateTo({ path: `/dashboards/${id.value}` }, { replace: true })
  }

  watch(id, () => { shownSeconds = 0 })
  useIntervalFn(() => {
    if (kiosk.value && !paused.value && ++shownSeconds >= kiosk.value.seconds) {
      shownSeconds = 0
      show(1)
    }
  }, SECOND_MS)

  const KEYS: Record<string, () => void> = {
    'ArrowRight': () => show(1),
    'ArrowLeft': () => show(-1),
    ' ': () => { paused.value = !paused.value },
    'Escape': leave,
  }
  useEventListener('keydown', (event) => {
    const run = kiosk.value && !(event.target instanceof HTMLElement && event.target.closest('button, input, select, [role=application]')) ? KEYS[event.key] : undefined
    if (!run) return
    event.preventDefault()
    run()
  })

  return { kiosk, paused, show, leave }
}
