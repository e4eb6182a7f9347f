import { createSharedComposable, useEventListener } from '@vueuse/core'
import { ref } from 'vue'

/** After `g`: where the second key leads. */
const GO_TO: Record<string, string> = { s: '/', d: '/dashboards', m: '/metrics', a: '/alerts' }
// The second key must follow within this time.
const PAIR_MS = 1_500

/** The keys that work on every page, and what they have opened. */
export const useShortcuts = createSharedComposable(() => {
  const opened = ref<'palette' | 'shortcuts' | null>(null)
  let beganAt = -Infinity

  useEventListener('keydown', (event) => {
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      opened.value = 'palette'
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || opened.value !== null || isTyping(event.target)) return
    const target = event.timeStamp - beganAt < PAIR_MS ? GO_TO[event.key] : undefined
    beganAt = event.key === 'g' ? event.timeStamp : -Infinity
    if (target !== undefined) void navigateTo(target)
    else if (event.key === '?') opened.value = 'shortcuts'
  })

  return { opened }
})

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.closest('input, textarea, select, dialog') !== null)
}
