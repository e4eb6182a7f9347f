import { computed, ref } from 'vue'

const FIRST_ROWS = 8

/** The first rows of a long list, until somebody wants to see all. `left`: how many the rest are. */
export function useFirstRows<T>(rows: () => readonly T[]) {
  const showsAll = ref(false)
  const shown = computed(() => (showsAll.value ? rows() : rows().slice(0, FIRST_ROWS)))
  const left = computed(() => Math.max(0, rows().length - FIRST_ROWS))
  return { shown, showsAll, left }
}
