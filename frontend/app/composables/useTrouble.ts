import { computed, inject, onScopeDispose, provide, shallowReactive } from 'vue'
import type { ComputedRef, InjectionKey, Ref } from 'vue'

/** What went wrong with one thing that a widget shows; empty: nothing. */
interface Trouble { error: Readonly<Ref<string>>, retry: () => unknown }

const KEY: InjectionKey<Set<Trouble>> = Symbol('trouble')

/** What the inside of a widget has trouble with: it may still show what it had before. */
export function provideTrouble(): { text: ComputedRef<string>, retry: () => void } {
  const told = shallowReactive(new Set<Trouble>())
  provide(KEY, told)
  const failed = computed(() => [...told].filter(({ error }) => error.value !== ''))
  return {
    text: computed(() => [...new Set(failed.value.map(({ error }) => error.value))].join(' ')),
    retry: () => failed.value.forEach(({ retry }) => retry()),
  }
}

/** Tells the widget around of an error, as long as there is one. */
export function tellTrouble(error: Readonly<Ref<string>>, retry: () => unknown): void {
  const told = inject(KEY, null)
  if (!told) return
  const trouble = { error, retry }
  told.add(trouble)
  onScopeDispose(() => told.delete(trouble))
}
