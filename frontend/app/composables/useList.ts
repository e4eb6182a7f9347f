import { ref, shallowRef } from 'vue'

/** A list that a page shows: `null` until it is here. */
export function useList<T>(fetch: () => Promise<T>) {
  const { say } = useProblem()
  const list = shallowRef<T | null>(null)
  const failure = ref('')

  async function load(): Promise<void> {
    try {
      list.value = await fetch()
      failure.value = ''
    }
    catch (error) {
      failure.value = say(error)
    }
  }

  void load()
  return { list, failure, load }
}
