import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, shallowRef } from 'vue'
import { toApiError } from '~/api/client'
import type { ApiError } from '~/api/client'
import { fetchCurrent, fetchHistory } from '~/api/metrics'
import type { CurrentMetrics } from '~/api/metrics'
import { appendFrame } from '~/utils/chart/append'
import { EMPTY_HISTORY, toHistoryData } from '~/utils/chart/series'
import type { HistoryData } from '~/utils/chart/series'
import { makeSnapshot } from '~/utils/host'
import type { Snapshot } from '~/utils/host'

export type ConnectionStatus = 'connecting' | 'live' | 'reconnecting' | 'offline'

/** A history that some component shows: fetched once, then kept up to date by live frames. */
export interface HistoryWindow {
  serverId: number
  metrics: ReadonlySet<string>
  rangeMs: number
  /** The range ends here; `null`: now, and live frames are appended. */
  endMs: number | null
  maxPoints: number
  data: HistoryData
  status: 'loading' | 'ready' | 'error'
  error: ApiError | null
}

export interface WindowRequest {
  serverId: number
  metrics: readonly string[]
  rangeMs: number
  endMs: number | null
  maxPoints: number
}

// One failed round is a hiccup, from the third on nobody should trust that the next will do.
const OFFLINE_AFTER = 3

export const useMetricsStore = defineStore('metrics', () => {
  const snapshots = shallowReactive(new Map<number, Snapshot>())
  /** Servers that an answer was about, though it may have held no frame. */
  const answered = shallowReactive(new Set<number>())
  const windows = shallowReactive(new Map<string, HistoryWindow>())
  const fetches = new Map<string, AbortController>()

  const failures = ref(0)
  const connected = ref(false)
  const lastAnswerMs = ref<number | null>(null)
  const retryAtMs = ref<number | null>(null)
  const lastError = shallowRef<ApiError | null>(null)
  /** API server's clock minus ours: ages stay right on a machine whose clock is wrong. */
  const clockOffsetMs = ref(0)

  const status = computed<ConnectionStatus>(() => {
    if (failures.value === 0) return connected.value ? 'live' : 'connecting'
    return failures.value < OFFLINE_AFTER ? 'reconnecting' : 'offline'
  })

  /** The one way in for live values, whoever brings them. */
  function applyCurrent(response: CurrentMetrics, intervalMs: number): void {
    clockOffsetMs.value = response.time_ms - Date.now()
    for (const { server_id: serverId, time_ms: timeMs, series } of response.servers) {
      const before = snapshots.get(serverId)
      if (before && before.timeMs >= timeMs) continue
      snapshots.set(serverId, makeSnapshot(serverId, timeMs, series))
      for (const [key, window] of windows) {
        if (window.serverId !== serverId || window.status !== 'ready' || window.endMs !== null) continue
        const data = appendFrame(window.data, { timeMs, intervalMs, series }, window.metrics, window.rangeMs)
        if (data !== window.data) windows.set(key, { ...window, data })
      }
    }
  }

  async function refreshCurrent(serverId: number, intervalMs: number): Promise<void> {
    applyCurrent(await fetchCurrent(serverId), intervalMs)
    answered.add(serverId)
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
    const { metrics, ...rest } = request
    windows.set(key, { ...rest, metrics: new Set(metrics), data: EMPTY_HISTORY, status: 'loading', error: null })
    return fetchWindow(key)
  }

  /** Keeps what is shown until the new answer is here. */
  async function fetchWindow(key: string): Promise<void> {
    const window = windows.get(key)
    if (!window) return
    fetches.get(key)?.abort()
    const controller = new AbortController()
    fetches.set(key, controller)
    try {
      const response = await fetchHistory({
        server: [window.serverId],
        metric: [...window.metrics],
        start: window.endMs === null ? `-${window.rangeMs / 1000}s` : String(window.endMs - window.rangeMs),
        // The end is not part of a range, the newest frame should be.
        end: window.endMs === null ? 'now' : String(window.endMs + 1),
        max_points: window.maxPoints,
      }, controller.signal)
      if (fetches.get(key) === controller) update(key, { data: toHistoryData(response), status: 'ready', error: null })
    }
    catch (error) {
      if (controller.signal.aborted || fetches.get(key) !== controller) return
      // Values that are there stay: an old chart with its age says more than none.
      const ready = windows.get(key)?.status === 'ready'
      update(key, ready ? { error: toApiError(error) } : { status: 'error', error: toApiError(error) })
    }
  }

  function update(key: string, change: Partial<HistoryWindow>): void {
    const window = windows.get(key)
    if (window) windows.set(key, { ...window, ...change })
  }

  function closeWindow(key: string): void {
    fetches.get(key)?.abort()
    fetches.delete(key)
    windows.delete(key)
  }

  /** After a pause or an outage: whatever was missed is fetched. */
  async function refetchWindows(): Promise<void> {
    await Promise.all([...windows.keys()].map(fetchWindow))
  }

  return {
    snapshots, answered, windows, status, lastAnswerMs, retryAtMs, lastError, clockOffsetMs,
    applyCurrent, refreshCurrent, markSuccess, markFailure, openWindow, fetchWindow, closeWindow, refetchWindows,
  }
})
