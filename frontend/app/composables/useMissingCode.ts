import { onErrorCaptured, onScopeDispose, ref } from 'vue'

/**
 * How often code that was needed could not be loaded since the last change of page: of a dialog, a menu, a chart. What is only loaded ahead
 * does not count. Covers all that the calling component contains.
 */
export function useMissingCode() {
  const failures = ref(0)
  const errors = new WeakSet<Error>()
  onScopeDispose(useNuxtApp().hook('app:chunkError', ({ error }) => void errors.add(error)))
  onErrorCaptured((error) => {
    if (!errors.has(error)) return
    failures.value++
    return false
  })
  onScopeDispose(useRouter().afterEach((to, from) => {
    if (to.path !== from.path) failures.value = 0
  }))
  return failures
}
