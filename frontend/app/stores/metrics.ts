import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, shallowRef } from 'vue'
import { toApiError } from '~/api/client'
import type { ApiError } from '~/api/client'
import { fetchCurrent, fetchHistory } from '~/api/metrics'
import type { CurrentMetrics, LiveSeries } from '~/api/metrics'
import { appendFrame } from '~/utils/chart/append'
import { EMPTY_HISTORY, seriesKey, toHistoryData } from '~/utils/chart/series'
import type { HistoryData } from '~/utils/chart/series'
import { makeSnapshot } from '~/utils/readings'
import type { Snapshot } from '~/utils/readings'
import type { StreamFrame } from '~/utils/live/streams'

/** `polling`: the live stream does not get through. `delayed`: the API server does not see what others take in. */
export type ConnectionStatus = 'connecting' | 'live' | 'polling' | 'delayed' | 'reconnecting' | 'offline'
/** Where the present values come from. */
export type Source = 'none' | 'stream' | 'polling'

export interface WindowRequest {
  serverId: number
  metrics: readonly string[]
  rangeMs: number
  /** End of the range; `null` for now, in which case live frames are appended. */
  endMs: number | null
  maxPoints: number
}

/** A history that a component shows: fetched once, then kept up to date with live frames. */
export interface HistoryWindow extends Omit<WindowRequest, 'metrics'> {
  metrics: ReadonlySet<string>
  data: HistoryData
  status: 'loading' | 'ready' | 'error'
  error: ApiError | null
}

// One or two failures may be a hiccup.
const OFFLINE_AFTER_FAILURES = 3
const BLOCKED_AFTER_FAILURES = 2
// As long as a fetch of the history may take.
const RECENT_MS = 30_000
/** The part of a server's series that comes from polling, which is all of them. */
const POLLED = 0

export const useMetricsStore = defineStore('metrics', () => {
  const snapshots = shallowReactive(new Map<number, Snapshot>())
  /** Servers whose current metrics were fetched, even if the answer held no frame. */
  const fetchedIds = shallowReactive(new Set<number>())
  const windows = shallowReactive(new Map<string, HistoryWindow>())
  const fetches = new Map<string, AbortController>()
  /** Server id -> stream -> its newest frame: together they are all series of the server. */
  const parts = new Map<number, Map<number, { timeMs: number, series: LiveSeries[] }>>()

  /** Server id -> its last frames, for a history that was read before they arrived. */
  const recent = new Map<number, StreamFrame[]>()

  const failures = ref(0)
  const source = ref<Source>('none')
  const streamFailures = ref(0)
  const behind = ref(false)
  const lastAnswerMs = ref<number | null>(null)
  const retryAtMs = ref<number | null>(null)
  const lastError = shallowRef<ApiError | null>(null)
  /** The API server's clock minus this machine's, so that ages are right even if this clock is wrong. */
  const clockOffsetMs = ref(0)

  const status = computed<ConnectionStatus>(() => {
    if (source.value === 'stream') return behind.value ? 'delayed' : 'live'
    if (failures.value > 0) return failures.value < OFFLINE_AFTER_FAILURES ? 'reconnecting' : 'offline'
    if (source.value === 'none') return lastAnswerMs.value === null ? 'connecting' : 'reconnecting'
    return streamFailures.value < BLOCKED_AFTER_FAILURES ? 'live' : 'polling'
  })

  /** Stores live values and appends them to the open windows. A frame that is not newer than the last one is ignored. */
  function applyCurrent(response: CurrentMetrics, intervalMs: number): void {
    setClock(response.time_ms)
    for (const { server_id: serverId, time_ms: timeMs, series } of response.servers) {
      const previous = snapshots.get(serverId)
      if (previous && previous.timeMs >= timeMs) continue
      parts.delete(serverId)
      applyFrame({ serverId, stream: POLLED, timeMs, intervalMs, series })
    }
  }

  function setClock(serverTimeMs: number): void {
    clockOffsetMs.value = serverTimeMs - Date.now()
  }

  /** Shows a frame, and appends it to the open windows of its server. */
  function applyFrame(frame: StreamFrame): void {
    const { serverId, stream, timeMs, series } = frame
    const ofServer = parts.get(serverId) ?? new Map<number, { timeMs: number, series: LiveSeries[] }>()
    if (stream !== POLLED) ofServer.delete(POLLED)
    ofServer.set(stream, { timeMs, series })
    parts.set(serverId, ofServer)
    snapshots.set(serverId, snapshotOf([...ofServer.values()]))
    for (const [key, historyWindow] of windows) {
      if (historyWindow.serverId !== serverId || historyWindow.status !== 'ready' || historyWindow.endMs !== null) continue
      const data = appendFrame(historyWindow.data, frame, historyWindow.metrics, historyWindow.rangeMs)
      if (data !== historyWindow.data) windows.set(key, { ...historyWindow, data })
    }
    recent.set(serverId, [...(recent.get(serverId) ?? []).filter(item => item.timeMs > timeMs - RECENT_MS), frame])
  }

  /** Forgets what came from streams of a server that it does not have any more. */
  function keepStreams(serverId: number, streams: readonly number[]): void {
    fetchedIds.add(serverId)
    const ofServer = parts.get(serverId)
    if (!ofServer) return
    const gone = [...ofServer.keys()].filter(stream => stream !== POLLED && !streams.includes(stream))
    if (gone.length === 0) return
    gone.forEach(stream => ofServer.delete(stream))
    if (ofServer.size > 0) snapshots.set(serverId, snapshotOf([...ofServer.values()]))
  }

  async function refreshCurrent(serverId: number, intervalMs: number): Promise<void> {
    applyCurrent(await fetchCurrent(serverId), intervalMs)
    fetchedIds.add(serverId)
  }

  function markSuccess(from: Exclude<Source, 'none'>): void {
    source.value = from
    failures.value = 0
    lastError.value = null
    retryAtMs.value = null
    lastAnswerMs.value = Date.now()
  }

  /** The stream is not open; `count`: attempts in a row that failed. */
  function markStreamLost(count: number): void {
    streamFailures.value = count
    behind.value = false
    if (source.value === 'stream') source.value = 'none'
  }

  function markFailure(error: unknown, count: number, retryInMs: number): void {
    failures.value = count
    lastError.value = toApiError(error)
    retryAtMs.value = Date.now() + retryInMs
  }

  function openWindow(key: string, request: WindowRequest): Promise<void> {
    const open = windows.get(key)
    const kept = open?.status === 'ready' && movedOn(open, request) ? open : { data: EMPTY_HISTORY, status: 'loading' as const, error: null }
    windows.set(key, { ...kept, ...request, metrics: new Set(request.metrics) })
    return fetchWindow(key)
  }

  /** The window keeps its data until the answer arrives, and after a failure. */
  async function fetchWindow(key: string): Promise<void> {
    const historyWindow = windows.get(key)
    if (!historyWindow) return
    fetches.get(key)?.abort()
    const controller = new AbortController()
    fetches.set(key, controller)
    const { serverId, metrics, rangeMs, endMs, maxPoints } = historyWindow
    const withRecent = (history: HistoryData) => (endMs === null ? recent.get(serverId) ?? [] : [])
      .reduce((data, frame) => appendFrame(data, frame, metrics, rangeMs), history)
    try {
      const response = await fetchHistory({
        server: [serverId],
        metric: [...metrics],
        start: endMs === null ? `-${rangeMs / 1000}s` : String(endMs - rangeMs),
        // A range excludes its end: add 1 ms to include the newest frame.
        end: endMs === null ? 'now' : String(endMs + 1),
        max_points: maxPoints,
      }, controller.signal)
      if (fetches.get(key) === controller) update(key, { data: withRecent(toHistoryData(response)), status: 'ready', error: null })
    }
    catch (cause) {
      if (controller.signal.aborted || fetches.get(key) !== controller) return
      const error = toApiError(cause)
      update(key, windows.get(key)?.status === 'ready' ? { error } : { status: 'error', error })
    }
  }

  function update(key: string, change: Partial<HistoryWindow>): void {
    const historyWindow = windows.get(key)
    if (historyWindow) windows.set(key, { ...historyWindow, ...change })
  }

  function closeWindow(key: string): void {
    fetches.get(key)?.abort()
    fetches.delete(key)
    windows.delete(key)
  }

  /** Fetches what was missed during a pause or an outage. */
  async function refetchWindows(): Promise<void> {
    await Promise.all([...windows.keys()].map(fetchWindow))
  }

  return {
    snapshots, fetchedIds, windows, status, source, behind, lastAnswerMs, retryAtMs, lastError, clockOffsetMs,
    applyCurrent, applyFrame, keepStreams, setClock, refreshCurrent, markSuccess, markStreamLost, markFailure,
    openWindow, fetchWindow, closeWindow, refetchWindows,
  }
})

/** Whether only the end of a window has moved, by less than its length: what it shows stays until the answer arrives. */
function movedOn(open: HistoryWindow, request: WindowRequest): boolean {
  return open.serverId === request.serverId && open.rangeMs === request.rangeMs && open.endMs !== null && request.endMs !== null
    && Math.abs(open.endMs - request.endMs) < request.rangeMs && open.metrics.size === request.metrics.length && request.metrics.every(metric => open.metrics.has(metric))
}

/** One snapshot of all parts. A series that has moved to another stream counts with its newer value. */
function snapshotOf(parts: { timeMs: number, series: LiveSeries[] }[]): Snapshot {
  if (parts.length === 1) return makeSnapshot(parts[0]!.timeMs, parts[0]!.series)
  const sorted = [...parts].sort((a, b) => b.timeMs - a.timeMs)
  const seen = new Set<string>()
  const series = sorted.flatMap(part => part.series.filter((item) => {
    const key = seriesKey(item.metric, item.labels)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  }))
  return makeSnapshot(sorted[0]!.timeMs, series)
}
