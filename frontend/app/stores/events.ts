import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { toApiError } from '~/api/client'
import type { ApiError } from '~/api/client'
import { listEvents } from '~/api/events'
import type { EventPage, ServerEvent } from '~/api/events'
import { mergeEvents } from '~/utils/events'

const PAGE_SIZE = 100
// More markers than a chart has px; a server with so many events has another problem.
const MAX_COVERED = 1_000

/** What happened on the server that is shown: fetched page by page from the newest on, and kept up to date by the live stream. */
export const useEventsStore = defineStore('events', () => {
  const serverId = ref<number | null>(null)
  /** Newest first. */
  const events = shallowRef<readonly ServerEvent[]>([])
  /** `error`: nothing could be fetched at all. */
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<ApiError | null>(null)
  /** For the next older page; `null`: there is none. */
  const cursor = ref<string | null>(null)
  const loadingMore = ref(false)
  /** The time back to which a chart shows them. */
  let coveredMs = Infinity
  const fetches = new Map<'newest' | 'older', AbortController>()

  async function open(id: number): Promise<void> {
    close()
    serverId.value = id
    await reload()
  }

  function close(): void {
    cancel('newest')
    cancel('older')
    serverId.value = null
    events.value = []
    cursor.value = null
    status.value = 'loading'
    error.value = null
    loadingMore.value = false
    coveredMs = Infinity
  }

  /** Fetches the newest page again; what is older stays if both fit together. */
  async function reload(): Promise<void> {
    await fetchPage('newest', null, (page) => {
      const known = new Set(events.value.map(event => event.id))
      const meets = page.next === null || page.events.some(event => known.has(event.id))
      const newestMs = page.events[0]?.time_ms ?? 0
      // Live events that arrived before the answer; the rest of the old list lies beyond a hole.
      const kept = meets ? events.value : events.value.filter(event => event.time_ms >= newestMs)
      if (!meets || status.value !== 'ready') cursor.value = page.next
      if (!meets) cancel('older')
      events.value = mergeEvents(kept, page.events)
      status.value = 'ready'
    })
    await fetchCovered()
  }

  /** Fetches the next older page. */
  async function loadMore(): Promise<void> {
    if (cursor.value === null || loadingMore.value) return
    loadingMore.value = true
    await fetchPage('older', cursor.value, (page) => {
      cursor.value = page.next
      events.value = mergeEvents(events.value, page.events)
    })
    loadingMore.value = false
  }

  /** Makes sure that all events since this time are there. */
  async function cover(startMs: number): Promise<void> {
    coveredMs = startMs
    await fetchCovered()
  }

  async function fetchCovered(): Promise<void> {
    const id = serverId.value
    while (status.value === 'ready' && error.value === null && serverId.value === id && cursor.value !== null && !loadingMore.value
      && events.value.length < MAX_COVERED && (events.value.at(-1)?.time_ms ?? 0) > coveredMs) {
      await loadMore()
    }
  }

  /** Adds live events. */
  function append(live: readonly ServerEvent[]): void {
    events.value = mergeEvents(events.value, live.filter(event => event.server_id === serverId.value))
  }

  async function fetchPage(which: 'newest' | 'older', from: string | null, take: (page: EventPage) => void): Promise<void> {
    const id = serverId.value
    if (id === null) return
    cancel(which)
    const controller = new AbortController()
    fetches.set(which, controller)
    try {
      const page = await listEvents(id, PAGE_SIZE, from, controller.signal)
      if (fetches.get(which) !== controller) return
      error.value = null
      take(page)
    }
    catch (cause) {
      if (fetches.get(which) !== controller) return
      error.value = toApiError(cause)
      if (status.value !== 'ready') status.value = 'error'
    }
  }

  /** An answer that comes nevertheless is not taken. */
  function cancel(which: 'newest' | 'older'): void {
    fetches.get(which)?.abort()
    fetches.delete(which)
  }

  return { serverId, events, status, error, cursor, loadingMore, open, close, reload, loadMore, cover, append }
})
