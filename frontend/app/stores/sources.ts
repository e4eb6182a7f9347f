import { defineStore } from 'pinia'
import { computed, ref, shallowReactive } from 'vue'
import { fetchSelected } from '~/api/metrics'
import type { Selection } from '~/utils/dashboards'
import type { StreamFrame } from '~/utils/live/streams'
import { NewestValues } from '~/utils/present'

/** Present values of a selection, that one or several widgets show. */
export interface LiveSource {
  /** Of its subscription of the live stream. */
  id: number
  selection: Selection
  metrics: readonly string[]
  values: NewestValues
  /** Rises with what there is to show. */
  version: number
  error: unknown
}

// A thousand servers send a hundred frames a second; people read one.
const SHOW_EVERY_MS = 1_000
const FIRST_ID = 10

/** What the widgets on screen want to be told of. Those that select the same share a subscription. */
export const useSourcesStore = defineStore('sources', () => {
  const sources = shallowReactive(new Map<string, LiveSource>())
  const users = new Map<string, Map<symbol, readonly string[]>>()
  let nextId = FIRST_ID
  let timer: ReturnType<typeof setTimeout> | undefined
  const changed = new Set<string>()
  /** Those that want to be fetched. */
  const fresh = new Set<string>()

  const wanted = computed(() => [...sources.values()].map(({ id, selection, metrics }) => ({ id, selection, metrics })))

  /** Begins to show metrics of a selection. Returns its key, and how to end it. */
  function open(selection: Selection, metrics: readonly string[]): { key: string, close: () => void } {
    const key = JSON.stringify(selection)
    const user = Symbol('widget')
    const ofKey = users.get(key) ?? new Map<symbol, readonly string[]>()
    users.set(key, ofKey.set(user, metrics))
    rearrange(key, selection)
    const close = () => {
      ofKey.delete(user)
      rearrange(key, selection)
    }
    return { key, close }
  }

  function rearrange(key: string, selection: Selection): void {
    const metrics = [...new Set([...(users.get(key)?.values() ?? [])].flat())].sort()
    const known = sources.get(key)
    if (metrics.length === 0) {
      users.delete(key)
      sources.delete(key)
      return
    }
    if (known && metrics.every(metric => known.metrics.includes(metric))) return
    // A subscription that wants less than before goes on: what is too much is not shown.
    sources.set(key, { id: known?.id ?? nextId++, selection, metrics, values: known?.values ?? new NewestValues(), version: known?.version ?? 0, error: null })
    // A page opens many widgets at once, which are answered together.
    if (fresh.size === 0) {
      setTimeout(() => {
        fresh.forEach(item => void refresh(item))
        fresh.clear()
      })
    }
    fresh.add(key)
  }

  /** Fetches the present values, for a source that is new or as long as no stream brings them. */
  async function refresh(key: string): Promise<void> {
    const source = sources.get(key)
    if (!source) return
    try {
      source.values.takeAll(await fetchSelected({ ...source.selection, metric: [...source.metrics] }))
      show(key, null)
    }
    catch (error) {
      show(key, error)
    }
  }

  async function refreshAll(): Promise<void> {
    await Promise.all([...sources.keys()].map(refresh))
  }

  function show(key: string, error: unknown): void {
    const source = sources.get(key)
    if (source) sources.set(key, { ...source, version: source.version + 1, error })
  }

  /** Takes over a frame of the live stream, which is shown together with others a moment later. */
  function apply(id: number, { serverId, timeMs, intervalMs, series }: StreamFrame): void {
    for (const [key, source] of sources) {
      if (source.id !== id) continue
      source.values.take(serverId, timeMs, intervalMs, series)
      changed.add(key)
    }
    timer ??= setTimeout(() => {
      timer = undefined
      changed.forEach(key => show(key, null))
      changed.clear()
    }, SHOW_EVERY_MS)
  }

  /** Rises when frames have not come: what is drawn has a hole until it is fetched again. */
  const holes = ref(0)
  const markHole = () => { holes.value++ }

  /** These servers are selected at present. */
  function keep(id: number, serverIds: readonly number[]): void {
    for (const source of sources.values()) if (source.id === id) source.values.keep(serverIds)
  }

  return { sources, wanted, holes, open, apply, keep, refresh, refreshAll, markHole }
})
