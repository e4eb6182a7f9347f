import { useDocumentVisibility, useEventListener } from '@vueuse/core'
import { onScopeDispose, watch } from 'vue'
import type { Ref } from 'vue'
import { DEFAULT_INTERVAL_MS } from '~/api/servers'
import { Poller, nextPollDelay } from '~/utils/poller'
import { MINUTE_MS } from '~/utils/units'

const SERVERS_EVERY_MS = 10_000
// Live frames only approximate the newest buckets, and frames that arrive late are missing: a fetch now and then corrects both.
const HISTORY_EVERY_MS = 5 * MINUTE_MS

/**
 * Keeps the servers and metrics stores up to date for as long as the layout lives, by polling. Polling is enough for one server on
 * screen; a stream would replace this file and call the same store functions.
 */
export function useLiveFeed(serverId: Ref<number | null>) {
  const servers = useServersStore()
  const metrics = useMetricsStore()
  const visibility = useDocumentVisibility()
  let serversFetchedMs = -Infinity
  let historyFetchedMs = Date.now()

  const intervalMs = () => servers.get(serverId.value)?.interval_ms ?? DEFAULT_INTERVAL_MS

  async function poll(): Promise<void> {
    const nowMs = Date.now()
    const recovering = metrics.status === 'reconnecting' || metrics.status === 'offline'
    const id = serverId.value
    await Promise.all([
      recovering || nowMs - serversFetchedMs >= SERVERS_EVERY_MS ? servers.refresh().then(() => { serversFetchedMs = nowMs }) : null,
      // A server that is not in the list would make every poll fail.
      id !== null && (!servers.loaded || servers.get(id)) ? metrics.refreshCurrent(id, intervalMs()) : null,
    ])
    if (recovering || nowMs - historyFetchedMs >= HISTORY_EVERY_MS) {
      historyFetchedMs = nowMs
      await metrics.refetchWindows()
    }
  }

  const poller = new Poller({
    task: poll,
    delayMs: () => {
      const frameMs = serverId.value === null ? null : metrics.snapshots.get(serverId.value)?.timeMs ?? null
      return nextPollDelay(frameMs, Date.now() + metrics.clockOffsetMs, intervalMs())
    },
    onSuccess: metrics.markSuccess,
    onFailure: metrics.markFailure,
  })

  watch(serverId, () => poller.runNow())
  watch(visibility, (value) => {
    if (value === 'hidden') return poller.stop()
    serversFetchedMs = -Infinity
    historyFetchedMs = -Infinity
    poller.start()
  })
  useEventListener('online', () => poller.runNow())
  if (visibility.value !== 'hidden') poller.start()
  onScopeDispose(() => poller.stop())

  return { retry: () => poller.runNow() }
}
