import { useDocumentVisibility, useEventListener } from '@vueuse/core'
import { onScopeDispose, watch } from 'vue'
import type { Ref } from 'vue'
import { Poller, nextPollDelay } from '~/utils/poller'

const SERVERS_EVERY_MS = 10_000
const DEFAULT_INTERVAL_MS = 10_000
// A history that was appended to for this long is fetched again: buckets get their exact values, lost frames that came late appear.
const REFETCH_MS = 300_000

/**
 * Brings live values into the stores, for as long as the layout lives. Asking in rounds is enough for one server on screen; a
 * stream replaces this file and calls the same store functions.
 */
export function useLiveFeed(serverId: Ref<number | null>) {
  const servers = useServersStore()
  const metrics = useMetricsStore()
  const visibility = useDocumentVisibility()
  let serversAtMs = -Infinity
  let historyAtMs = Date.now()

  const server = () => (serverId.value === null ? undefined : servers.byId.get(serverId.value))
  const intervalMs = () => server()?.interval_ms ?? DEFAULT_INTERVAL_MS

  async function round(): Promise<void> {
    const now = Date.now()
    const missed = metrics.status === 'reconnecting' || metrics.status === 'offline'
    const id = serverId.value
    await Promise.all([
      missed || now - serversAtMs >= SERVERS_EVERY_MS ? servers.refresh().then(() => { serversAtMs = now }) : null,
      // A server that the list does not know would only answer with an error, every round.
      id !== null && (!servers.loaded || servers.byId.has(id)) ? metrics.refreshCurrent(id, intervalMs()) : null,
    ])
    if (missed || now - historyAtMs >= REFETCH_MS) {
      historyAtMs = now
      await metrics.refetchWindows()
    }
  }

  const poller = new Poller({
    task: round,
    delayMs: () => {
      const frame = serverId.value === null ? null : metrics.snapshots.get(serverId.value)?.timeMs ?? null
      return nextPollDelay(frame, Date.now() + metrics.clockOffsetMs, intervalMs())
    },
    onSuccess: metrics.markSuccess,
    onFailure: metrics.markFailure,
  })

  watch(serverId, () => poller.poke())
  watch(visibility, (value) => {
    if (value === 'hidden') return poller.stop()
    serversAtMs = -Infinity
    historyAtMs = -Infinity
    poller.start()
  })
  useEventListener('online', () => poller.poke())
  if (visibility.value !== 'hidden') poller.start()
  onScopeDispose(() => poller.stop())

  return { retry: () => poller.poke() }
}
