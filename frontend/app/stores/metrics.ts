import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, shallowRef } from 'vue'
import { toApiError } from '~/api/client'
import type { ApiError } from '~/api/client'
import { fetchCurrent, fetchHistory } from '~/api/metrics'
import type { CurrentMetrics } from '~/api/metrics'
import { appendFrame } from '~/utils/chart/append'
import { EMPTY_HISTORY, toHistoryData } from '~/utils/chart/series'
import type { HistoryData } from '~/utils/chart/series'
import { makeSnapshot } from '~/utils/readings'
import type { Snapshot } from '~/utils/readings'

export type ConnectionStatus = 'connecting' | 'live' | 'reconnecting' | 'offline'

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

export const useMetricsStore = defineStore('metrics', () => {
  const snapshots = shallowReactive(new Map<number, Snapshot>())
  /** Servers whose current metrics were fetched, even if the answer held no frame. */
  const fetchedIds = shallowReactive(new Set<number>())
  const windows = shallowReactive(new Map<string, HistoryWindow>())
  const fetches = new Map<string, AbortController>()

  const failures = ref(0)
  const connected = ref(false)
  const lastAnswerMs = ref<number | null>(null)
  const retryAtMs = ref<number | null>(null)
  const lastError = shallowRef<ApiError | null>(null)
  /** The API server's clock minus this machine's, so that ages are right even if this clock is wrong. */
  const clockOffsetMs = ref(0)

  const status = computed<ConnectionStatus>(() => {
    if (failures.value === 0) return connected.value ? 'live' : 'connecting'
    return failures.value < OFFLINE_AFTER_FAILURES ? 'reconnecting' : 'offline'
  })

  /** Stores live values and appends them to the open windows. A frame that is not newer than the last one is ignored. */
  function applyCurrent(response: CurrentMetrics, intervalMs: number): void {
    clockOffsetMs.value = response.time_ms - Date.now()
    for (const { server_id: serverId, time_ms: timeMs, series } of response.servers) {
      const previous = snapshots.get(serverId)
      if (previous && previous.timeMs >= timeMs) continue
      snapshots.set(serverId, makeSnapshot(timeMs, series))
      for (const [key, historyWindow] of windows) {
        if (historyWindow.serverId !== serverId || historyWindow.status !== 'ready' || historyWindow.endMs !== null) continue
        const data = appendFrame(historyWindow.data, { timeMs, intervalMs, series }, historyWindow.metrics, historyWindow.rangeMs)
        if (data !== historyWindow.data) windows.set(key, { ...historyWindow, data })
      }
    }
  }

  async function refreshCurrent(serverId: number, intervalMs: number): Promise<void> {
    applyCurrent(await fetchCurrent(serverId), intervalMs)
    fetchedIds.add(serverId)
  }

  function markSuccess(): void {
    connected.value = true
    failures.value = 0
    lastError.value = null
    retryAtMs.value = null
    lastAnswerMs.value = Date.now()
  }

  function markFailure(error: unknown, count: number, retryInMs: number): void {
    failures.value = count
    lastError.value = toApiError(error)
    retryAtMs.value = Date.now() + retryInMs
  }

  function openWindow(key: string, request: WindowRequest): Promise<void> {
    windows.set(key, { ...request, metrics: new Set(request.metrics), data: EMPTY_HISTORY, status: 'loading', error: null })
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
    try {
      const response = await fetchHistory({
        server: [serverId],
        metric: [...metrics],
        start: endMs === null ? `-${rangeMs / 1000}s` : String(endMs - rangeMs),
        // A range excludes its end: add 1 ms to include the newest frame.
        end: endMs === null ? 'now' : String(endMs + 1),
        max_points: maxPoints,
      }, controller.signal)
      if (fetches.get(key) === controller) update(key, { data: toHistoryData(response), status: 'ready', error: null })
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
    snapshots, fetchedIds, windows, status, lastAnswerMs, retryAtMs, lastError, clockOffsetMs,
    applyCurrent, refreshCurrent, markSuccess, markFailure, openWindow, fetchWindow, closeWindow, refetchWindows,
  }
})
