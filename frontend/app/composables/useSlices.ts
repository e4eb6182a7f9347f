import { onMounted, onScopeDispose, ref } from 'vue'
import type { Ref } from 'vue'

let isFirstPage = true

/**
 * How many of the parts of a page are there: one more after each paint, so that the first page does not keep the browser busy in one long task.
 * All at once on every later page: going back leads to the same place only if the page is as long as before.
 */
export function useSlices(parts: number): Readonly<Ref<number>> {
  const present = ref(isFirstPage ? 1 : parts)
  let frame = 0

  function addNext(): void {
    frame = requestAnimationFrame(() => setTimeout(() => {
      present.value++
      if (present.value < parts) addNext()
    }))
  }

  onMounted(() => {
    if (present.value < parts) addNext()
  })
  onScopeDispose(() => {
    cancelAnimationFrame(frame)
    isFirstPage = false
  })
  return present
}
