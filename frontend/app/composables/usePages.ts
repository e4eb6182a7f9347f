import { ref, shallowRef } from 'vue'

/** A list that is fetched page by page: `items` is `null` until the first page is there. A failed reload keeps the old items. */
export function usePages<T>(fetch: (cursor: string | null) => Promise<{ items: readonly T[], next: string | null }>) {
  const errorText = useErrorText()
  const items = shallowRef<readonly T[] | null>(null)
  const next = ref<string | null>(null)
  const error = ref('')
  let latest = 0

  async function fetchPage(before: readonly T[], cursor: string | null): Promise<void> {
    const mine = ++latest
    try {
      const page = await fetch(cursor)
      if (mine !== latest) return
      items.value = [...before, ...page.items]
      next.value = page.next
      error.value = ''
    }
    catch (cause) {
      if (mine === latest) error.value = errorText(cause)
    }
  }

  const load = () => fetchPage([], null)
  const loadMore = () => fetchPage(items.value ?? [], next.value)
  void load()
  return { items, next, error, load, loadMore }
}
