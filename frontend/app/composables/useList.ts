import { ref, shallowRef } from 'vue'

/** Data that a page shows: `null` until it is loaded. A failed reload keeps the old data. */
export function useList<T>(fetch: () => Promise<T>) {
  const errorText = useErrorText()
  const list = shallowRef<T | null>(null)
  const error = ref('')

  async function load(): Promise<void> {
    try {
      list.value = await fetch()
      error.value = ''
    }
    catch (cause) {
      error.value = errorText(cause)
    }
  }

  void load()
  return { list, error, load }
}
