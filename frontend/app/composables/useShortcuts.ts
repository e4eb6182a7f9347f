import { createSharedComposable, useEventListener } from '@vueuse/core'
import { ref } from 'vue'

/** After `g`: where the second key leads. */
const GO_TO: Record<string, string> = { s: '/', d: '/dashboards', m: '/metrics', a: '/alerts' }
// The second key must follow within this time.
const PAIR_MS = 1_500

/** The keys that work on every page, and what they have opened. */
export const useShortcuts = createSharedComposable(() => {
  const opened = ref<'palette' | 'shortcuts' | null>(null)
  /** What was typed for the palette before its code was there. */
  const typed = ref('')
  let beganAt = -Infinity

  useEventListener('keydown', (event) => {
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      openPalette()
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    if (opened.value === 'palette' && event.key.length === 1 && !isWithin(event.target, 'dialog')) {
      event.preventDefault()
      typed.value += event.key
    }
    if (opened.value !== null || isTyping(event.target)) return
    const target = event.timeStamp - beganAt < PAIR_MS ? GO_TO[event.key] : undefined
    beganAt = event.key === 'g' ? event.timeStamp : -Infinity
    if (target !== undefined) void navigateTo(target)
    else if (event.key === '?') opened.value = 'shortcuts'
  })

  function openPalette(): void {
    typed.value = ''
    opened.value = 'palette'
  }

  return { opened, openPalette, typed }
})

function isTyping(target: EventTarget | null): boolean {
  return isWithin(target, 'input, textarea, select, dialog') || (target instanceof HTMLElement && target.isContentEditable)
}

function isWithin(target: EventTarget | null, selector: string): boolean {
  return target instanceof HTMLElement && target.closest(selector) !== null
}
