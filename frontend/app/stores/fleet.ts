import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { fetchFleet, fetchHistory } from '~/api/metrics'
import type { LiveSeries } from '~/api/metrics'
import { FLEET_METRICS, readFleet } from '~/utils/fleet'
import type { FleetReading } from '~/utils/fleet'
import { HOUR_MS, MINUTE_MS } from '~/utils/units'

/** The last hour of a server's CPU usage. */
export interface FleetSpark { times: number[], values: (number | null)[], startMs: number, endMs: number, gapMs: number }

// 1,000 servers send a hundred frames a second; people read two.
const SHOW_EVERY_MS = 500
const SPARK_POINTS = 60
const SPARK_LIFETIME_MS = 2 * MINUTE_MS
// Frames of a layout that a server does not send any more are not its present.
const STALE_STEPS = 3

/** What the fleet view shows: the newest readings of all servers, and their last hour. */
export const useFleetStore = defineStore('fleet', () => {
  /** How many views are open; the live stream brings readings as long as there is one. */
  const viewers = ref(0)
  const isShown = computed(() => viewers.value > 0)
  const readings = shallowRef<ReadonlyMap<number, FleetReading>>(new Map())
  /** Whether readings were fetched, even if there were none. */
  const loaded = ref(false)
  const sparks = shallowRef<ReadonlyMap<number, FleetSpark>>(new Map())
  let next = new Map<number, FleetReading>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const fetchedMs = new Map<number, number>()

  /** Takes over a frame; it is shown together with others a moment later. */
  function apply(serverId: number, timeMs: number, series: readonly LiveSeries[]): void {
    next.set(serverId, readFleet(next.get(serverId) ?? null, timeMs, series))
    timer ??= setTimeout(show, SHOW_EVERY_MS)
  }

  /** These servers are selected at present. */
  function keep(serverIds: readonly number[]): void {
    const selected = new Set(serverIds)
    for (const id of next.keys()) if (!selected.has(id)) next.delete(id)
    timer ??= setTimeout(show, SHOW_EVERY_MS)
  }

  function show(): void {
    clearTimeout(timer)
    timer = undefined
    readings.value = new Map(next)
    loaded.value = true
  }

  async function refresh(): Promise<void> {
    const answer = await fetchFleet(FLEET_METRICS)
    next = new Map(answer.servers.map(({ server_id, time_ms, series }) => [server_id, readFleet(null, time_ms, series)]))
    show()
  }

  /** Fetches the last hour of the servers on screen, unless it was fetched lately. */
  async function fetchSparks(serverIds: readonly number[]): Promise<void> {
    const nowMs = Date.now()
    const wanted = serverIds.filter(id => nowMs - (fetchedMs.get(id) ?? -Infinity) > SPARK_LIFETIME_MS)
    if (wanted.length === 0) return
    for (const id of wanted) fetchedMs.set(id, nowMs)
    try {
      const history = await fetchHistory({ server: [...wanted], metric: ['cpu_usage_ratio'], start: `-${HOUR_MS / 1000}s`, max_points: SPARK_POINTS })
      const merged = new Map(sparks.value)
      const stepMs = history.step_ms ?? HOUR_MS / SPARK_POINTS
      for (const { server_id: id, times, values } of history.series) {
        if (id !== null) merged.set(id, { times, values, startMs: history.start_ms, endMs: history.end_ms, gapMs: STALE_STEPS * stepMs })
      }
      sparks.value = merged
    }
    catch {
      // The next look at these servers tries again.
      for (const id of wanted) fetchedMs.delete(id)
    }
  }

  /** Forgets what is only shown while a view is open. */
  function close(): void {
    viewers.value--
    if (viewers.value > 0) return
    clearTimeout(timer)
    timer = undefined
    next = new Map()
    readings.value = new Map()
    loaded.value = false
    fetchedMs.clear()
  }

  function open(): void {
    viewers.value++
  }

  return { isShown, readings, loaded, sparks, apply, keep, refresh, fetchSparks, open, close }
})
