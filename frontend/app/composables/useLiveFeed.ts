import { useDebounceFn, useDocumentVisibility, useEventListener } from '@vueuse/core'
import { onScopeDispose, watch } from 'vue'
import type { Ref } from 'vue'
import { State } from '~/api/proto/live'
import type { ServerMessage } from '~/api/proto/live'
import { DEFAULT_INTERVAL_MS } from '~/api/servers'
import type { ServerState } from '~/api/servers'
import { toServerEvents } from '~/utils/live/events'
import { LiveStreams, overlaps } from '~/utils/live/streams'
import type { SocketState } from '~/utils/live/socket'
import { Poller, nextPollDelay } from '~/utils/poller'
import { MINUTE_MS, SECOND_MS } from '~/utils/units'

const SERVERS_EVERY_MS = 10_000
// Live frames only approximate the newest buckets of a chart: a fetch now and then corrects them.
const HISTORY_EVERY_MS = 5 * MINUTE_MS
// A stream that breaks off is mostly back sooner, and all browsers at once would be too much for an API server that has just started.
const POLL_AFTER_MS = 2 * SECOND_MS
const POLL_SPREAD_MS = 3 * SECOND_MS
const GATHER_MS = SECOND_MS
// As long as no stream brings them.
const EVENTS_EVERY_MS = 30 * SECOND_MS

const STATES: Partial<Record<number, ServerState>> = { [State.UP]: 'up', [State.LATE]: 'late', [State.DOWN]: 'down', [State.RETIRED]: 'retired' }
/** The numbers of the subscriptions: the states and events of all servers, the values of the server on screen, and some of all servers. */
const ALL_STATES = 1
const SHOWN_SERVER = 2
const FLEET = 3
// Nobody reads a table of a hundred servers faster.
const FLEET_EVERY_MS = 2 * SECOND_MS
const ALERTS_EVERY_MS = MINUTE_MS

/**
 * Keeps the servers and metrics stores up to date for as long as the layout lives: by the live stream, and by polling as long as the
 * stream is not open.
 */
export function useLiveFeed(serverId: Ref<number | null>) {
  const servers = useServersStore()
  const metrics = useMetricsStore()
  const events = useEventsStore()
  const fleet = useFleetStore()
  const alerts = useAlertsStore()
  const sources = useSourcesStore()
  const visibility = useDocumentVisibility()
  const streams = new LiveStreams()
  let serversFetchedMs = -Infinity
  let historyFetchedMs = Date.now()
  let eventsFetchedMs = Date.now()
  let alertsFetchedMs = -Infinity
  let fleetStreams: ReadonlySet<number> = new Set()
  /** Stream -> the subscriptions of widgets that it belongs to. */
  const sourceStreams = new Map<number, number[]>()
  let streaming = false
  let wasStreaming = false
  /** The server whose events the stream brings: those between the first fetch and its beginning are fetched. */
  let eventsOf: number | null = null
  let pollTimer: ReturnType<typeof setTimeout> | undefined

  const intervalMs = () => servers.get(serverId.value)?.interval_ms ?? DEFAULT_INTERVAL_MS

  async function poll(): Promise<void> {
    const nowMs = Date.now()
    const recovering = metrics.status === 'reconnecting' || metrics.status === 'offline'
    const id = serverId.value
    await Promise.all([
      recovering || nowMs - serversFetchedMs >= SERVERS_EVERY_MS ? servers.refresh().then(() => { serversFetchedMs = nowMs }) : null,
      // A server that is not in the list would make every poll fail.
      id !== null && (!servers.loaded || servers.get(id)) ? metrics.refreshCurrent(id, intervalMs()) : null,
      fleet.isShown ? fleet.refresh() : null,
      sources.wanted.length > 0 ? sources.refreshAll() : null,
    ])
    refreshAlertsNowAndThen()
    if (recovering || nowMs - eventsFetchedMs >= EVENTS_EVERY_MS) void refetchEvents()
    if (recovering) await refetchHistory()
    else correctHistory()
  }

  const poller = new Poller({
    task: poll,
    delayMs: () => {
      const frameMs = serverId.value === null ? null : metrics.snapshots.get(serverId.value)?.timeMs ?? null
      return nextPollDelay(frameMs, Date.now() + metrics.clockOffsetMs, intervalMs())
    },
    onSuccess: () => metrics.markSuccess(streaming ? 'stream' : 'polling'),
    onFailure: metrics.markFailure,
  })

  const refreshServers = useDebounceFn(() => servers.refresh().catch(() => {}), () => GATHER_MS * (1 + Math.random()))
  const refetchSoon = useDebounceFn(() => {
    sources.markHole()
    return Promise.all([refetchHistory().catch(() => {}), refetchEvents()])
  }, GATHER_MS)

  function refetchEvents(): Promise<void> {
    eventsFetchedMs = Date.now()
    return events.reload()
  }

  const refreshAlerts = useDebounceFn(() => {
    alertsFetchedMs = Date.now()
    return alerts.refresh().catch(() => {})
  }, GATHER_MS)

  // At once: what is wrong comes first.
  alertsFetchedMs = Date.now()
  void alerts.refresh().catch(() => { alertsFetchedMs = -Infinity })

  function refreshAlertsNowAndThen(): void {
    if (Date.now() - alertsFetchedMs >= ALERTS_EVERY_MS) void refreshAlerts()
  }

  function refetchHistory(): Promise<void> {
    historyFetchedMs = Date.now()
    return metrics.refetchWindows()
  }

  function correctHistory(): void {
    if (Date.now() - historyFetchedMs >= HISTORY_EVERY_MS) void refetchHistory().catch(() => {})
  }

  function onMessage(message: ServerMessage): void {
    metrics.markSuccess('stream')
    if (message.welcome) metrics.setClock(message.welcome.serverTimeMs)
    for (const { serverTimeMs } of message.pongs) metrics.setClock(serverTimeMs)
    if (message.behind !== undefined) metrics.behind = message.behind
    const frames = streams.take(message)
    for (const { id, streams: present, servers: selected } of message.subscriptions) {
      if (id === FLEET) {
        fleetStreams = new Set(present)
        fleet.keep(selected)
      }
      if (id > FLEET) {
        keepSourceStreams(id, present)
        sources.keep(id, selected)
      }
      if (id !== SHOWN_SERVER || selected[0] === undefined) continue
      metrics.keepStreams(selected[0], present)
      if (selected[0] !== eventsOf) void refetchEvents()
      eventsOf = selected[0]
    }
    for (const frame of frames) {
      const ofWidgets = sourceStreams.get(frame.stream)
      ofWidgets?.forEach(id => sources.apply(id, frame))
      if (fleetStreams.has(frame.stream)) fleet.apply(frame.serverId, frame.timeMs, frame.series)
      else if (!ofWidgets || frame.serverId === serverId.value) metrics.applyFrame(frame)
    }
    if (message.events.some(event => event.alert > 0)) void refreshAlerts()
    refreshAlertsNowAndThen()
    events.append(toServerEvents(message.events))
    if (message.gaps.some(gap => (gap.server === serverId.value && isShown(gap)) || sources.wanted.length > 0)) void refetchSoon()
    const states = new Map<number, { state: ServerState, lastSeenMs: number }>()
    for (const { server, state, lastSeenMs } of message.servers) {
      const shown = STATES[state]
      if (shown !== undefined) states.set(server, { state: shown, lastSeenMs })
    }
    const isKnown = servers.applyStates(states) && message.servers.every(({ state }) => STATES[state] !== undefined)
    if (message.serversChanged || !isKnown) void refreshServers()
    correctHistory()
  }

  function keepSourceStreams(id: number, present: readonly number[]): void {
    for (const [stream, ids] of sourceStreams) {
      if (!ids.includes(id)) continue
      const others = ids.filter(other => other !== id)
      if (others.length > 0) sourceStreams.set(stream, others)
      else sourceStreams.delete(stream)
    }
    for (const stream of present) sourceStreams.set(stream, [...(sourceStreams.get(stream) ?? []), id])
  }

  /** Whether an open window shows a part of the gap. */
  function isShown(gap: ServerMessage['gaps'][number]): boolean {
    return [...metrics.windows.values()].some(({ endMs, data }) => endMs === null && overlaps(gap, data.startMs))
  }

  function onState(state: SocketState, failures: number): void {
    clearTimeout(pollTimer)
    streaming = state === 'open'
    if (streaming) {
      poller.stop()
      // What happened meanwhile, of which the stream tells only the last minute.
      if (wasStreaming) {
        void refetchSoon()
        alertsFetchedMs = -Infinity
      }
      wasStreaming = true
      return
    }
    metrics.markStreamLost(failures)
    streams.clear()
    fleetStreams = new Set()
    sourceStreams.clear()
    if (state === 'waiting') pollTimer = setTimeout(() => poller.start(), failures > 0 ? 0 : POLL_AFTER_MS + Math.random() * POLL_SPREAD_MS)
  }

  const socket = useWebSocket({ onMessage, onState, since: id => (id === SHOWN_SERVER && serverId.value !== null ? streams.newest(serverId.value) : 0) })
  socket.subscribe(ALL_STATES, { states: true, events: true })

  watch(serverId, (id) => {
    eventsOf = null
    if (id === null) socket.unsubscribe(SHOWN_SERVER)
    else socket.subscribe(SHOWN_SERVER, { servers: [id], values: true, watch: true })
    poller.runNow()
  }, { immediate: true })
  watch(() => (fleet.isShown ? fleet.metrics : null), (metrics) => {
    if (!metrics) return socket.unsubscribe(FLEET)
    socket.subscribe(FLEET, { metrics: [...metrics], values: true, minIntervalMs: FLEET_EVERY_MS })
    poller.runNow()
  }, { immediate: true })
  watch(() => sources.wanted, (now, before = []) => {
    for (const { id } of before) {
      if (now.some(other => other.id === id)) continue
      socket.unsubscribe(id)
      keepSourceStreams(id, [])
    }
    for (const { id, selection, metrics } of now) {
      const known = before.find(other => other.id === id)
      if (known?.metrics === metrics) continue
      socket.subscribe(id, { names: selection.name, tags: selection.tag, labels: selection.labels, metrics: [...metrics], values: true, minIntervalMs: SECOND_MS })
    }
  }, { immediate: true })
  watch(visibility, (value) => {
    if (value === 'hidden') return poller.stop()
    serversFetchedMs = -Infinity
    historyFetchedMs = -Infinity
    // At once, while the stream connects.
    poller.start()
  })
  useEventListener('online', () => poller.runNow())
  if (visibility.value !== 'hidden') poller.start()
  onScopeDispose(() => {
    clearTimeout(pollTimer)
    poller.stop()
  })

  function retry(): void {
    socket.retryNow()
    poller.runNow()
  }
  return { retry }
}
