import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import type { Ref } from 'vue'
import type { WidgetSource } from '~/api/dashboards'
import { isDue, metricsOf, selectionOf } from '~/utils/dashboards'
import type { SharedValues } from './useDashboard'
import { presentValues, sharedValues } from '~/utils/present'
import type { PresentValue } from '~/utils/present'
import { turns } from '~/utils/turns'

const NO_TAGS = {}

interface Present {
  /** `null` until they are there. */
  present: Readonly<Ref<PresentValue[] | null>>
  error: Readonly<Ref<string>>
  load: () => Promise<void>
}

/** The present values of a source, as often as the dashboard refreshes. `source`: `null` for none. */
export function usePresent(source: Ref<WidgetSource | null>): Present {
  const { shared } = useDashboard()
  const found = shared ? useShared(source, shared) : useLive(source)
  tellTrouble(found.error, found.load)
  return found
}

function useShared(source: Ref<WidgetSource | null>, { present: all, error, load }: SharedValues): Present {
  const id = useWidgetId()
  const present = computed(() => {
    const shown = source.value && all.value?.widgets[id]
    return shown ? sharedValues(shown, source.value!.combine ?? 'none', all.value!.time_ms) : null
  })
  return { present, error, load }
}

function useLive(source: Ref<WidgetSource | null>): Present {
  const store = useSourcesStore()
  const servers = useServersStore()
  const errorText = useErrorText()
  const { choices, refresh, isLive } = useDashboard()
  const wanted = computed(() => source.value && { selection: selectionOf(source.value, choices.value), metrics: metricsOf(source.value, choices.value) })
  let opened: ReturnType<typeof store.open> | null = null
  const key = ref('')
  const present = shallowRef<PresentValue[] | null>(null)
  let readMs = 0

  watch(() => JSON.stringify(wanted.value), () => {
    const before = opened
    opened = wanted.value && wanted.value.metrics.length > 0 ? store.open(wanted.value.selection, wanted.value.metrics) : null
    key.value = opened?.key ?? ''
    present.value = null
    before?.close()
  }, { immediate: true })
  onScopeDispose(() => opened?.close())

  const live = computed(() => store.sources.get(key.value))
  const owner = Symbol('present')

  function read(): void {
    readMs = Date.now()
    const shown = source.value && live.value && live.value.version > 0 ? live.value.values.of(new Set(wanted.value?.metrics)) : null
    present.value = shown && presentValues(shown, source.value!.combine ?? 'none', source.value!.by ?? '', id => servers.get(id)?.tags ?? NO_TAGS)
  }
  // The first values at once, and those that follow in turn.
  watch([live, isLive, refresh], () => {
    if (present.value === null) read()
    else if (isDue(refresh.value, isLive.value, Date.now() - readMs)) turns.add(owner, read)
  }, { immediate: true })
  watch(() => `${source.value?.combine} ${source.value?.by}`, read)
  onScopeDispose(() => turns.remove(owner))

  const error = computed(() => (live.value?.error ? errorText(live.value.error) : ''))
  return { present, error, load: () => store.refresh(key.value) }
}
