import { useStorage } from '@vueuse/core'
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { fetchCompleteness, fetchFleet, fetchHistory } from '~/api/metrics'
import type { LiveSeries } from '~/api/metrics'
import { FLEET_COLUMNS, FLEET_METRICS, TEMPERATURE_METRICS, USUAL_COLUMNS, readFleet } from '~/utils/fleet'
import type { FleetColumn, FleetReading } from '~/utils/fleet'
import { HOUR_MS, MINUTE_MS } from '~/utils/units'

/** The last hour of a server's CPU usage. */
export interface FleetSpark { times: number[], values: (number | null)[], startMs: number, endMs: number, gapMs: number }

// 1,000 servers send a hundred frames a second; people read two.
const SHOW_EVERY_MS = 500
const SPARK_POINTS = 60
const SPARK_LIFETIME_MS = 2 * MINUTE_MS
// It tells of a day, and counts its frames.
const COMPLETENESS_LIFETIME_MS = 10 * MINUTE_MS
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
  const chosen = useStorage<FleetColumn[]>('bongsu.fleet.columns', [...USUAL_COLUMNS])
  /** Those that are shown, in the order of the table. */
  const columns = computed(() => FLEET_COLUMNS.filter(column => column === 'name' || (Array.isArray(chosen.value) ? chosen.value : USUAL_COLUMNS).includes(column)))
  const metrics = computed<readonly string[]>(() => (columns.value.includes('temperature') ? [...FLEET_METRICS, ...TEMPERATURE_METRICS] : FLEET_METRICS))
  /** Server id -> the share of the frames of the last day that are stored; `null`: none was expected. */
  const completeness = shallowRef<ReadonlyMap<number, number | null>>(new Map())
  const sparks = shallowRef<ReadonlyMap<number, FleetSpark>>(new Map())
  let next = new Map<number, FleetReading>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const fetchedMs = new Map<number, number>()
  const completedMs = new Map<number, number>()

  /** Takes over a frame; it is shown together with others a moment later. */
  function apply(serverId: number, timeMs: number, series: readonly LiveSeries[]): void {
    next.set(serverId, readFleet(next.get(serverId) ?? null, timeMs, series))
    showSoon()
  }

  /** These servers are selected at present. */
  function keep(serverIds: readonly number[]): void {
    const selected = new Set(serverIds)
    for (const id of next.keys()) if (!selected.has(id)) next.delete(id)
    showSoon()
  }

  function showSoon(): void {
    // The first message has the values of all servers: people wait for them.
    timer ??= setTimeout(show, loaded.value ? SHOW_EVERY_MS : 0)
  }

  function show(): void {
    clearTimeout(timer)
    timer = undefined
    readings.value = new Map(next)
    loaded.value = true
  }

  async function refresh(): Promise<void> {
    const answer = await fetchFleet(metrics.value)
    next = new Map(answer.servers.map(({ server_id, time_ms, series }) => [server_id, readFleet(null, time_ms, series)]))
    show()
  }

  /** Fetches what is shown of the servers on screen beside their readings, unless it was fetched lately. */
  async function fetchDetails(serverIds: readonly number[]): Promise<void> {
    await Promise.all([
      fetchStale(serverIds, fetchedMs, SPARK_LIFETIME_MS, fetchSparks),
      columns.value.includes('completeness') ? fetchStale(serverIds, completedMs, COMPLETENESS_LIFETIME_MS, fetchShares) : null,
    ])
  }

  async function fetchStale(serverIds: readonly number[], fetched: Map<number, number>, lifetimeMs: number, fetch: (ids: number[]) => Promise<void>): Promise<void> {
    const nowMs = Date.now()
    const wanted = serverIds.filter(id => nowMs - (fetched.get(id) ?? -Infinity) > lifetimeMs)
    if (wanted.length === 0) return
    for (const id of wanted) fetched.set(id, nowMs)
    try {
      await fetch(wanted)
    }
    catch {
      // The next look at these servers tries again.
      for (const id of wanted) fetched.delete(id)
    }
  }

  async function fetchShares(serverIds: number[]): Promise<void> {
    const answer = await fetchCompleteness(serverIds)
    completeness.value = new Map([...completeness.value, ...answer.servers.map(({ server_id: id, ratio }) => [id, ratio] as const)])
  }

  async function fetchSparks(serverIds: number[]): Promise<void> {
    const history = await fetchHistory({ server: serverIds, metric: ['cpu_usage_ratio'], start: `-${HOUR_MS / 1000}s`, max_points: SPARK_POINTS })
    const merged = new Map(sparks.value)
    const stepMs = history.step_ms ?? HOUR_MS / SPARK_POINTS
    for (const { server_id: id, times, values } of history.series) {
      if (id !== null) merged.set(id, { times, values, startMs: history.start_ms, endMs: history.end_ms, gapMs: STALE_STEPS * stepMs })
    }
    sparks.value = merged
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
    completedMs.clear()
  }

  function open(): void {
    viewers.value++
  }

  return { isShown, readings, loaded, chosen, columns, metrics, completeness, sparks, apply, keep, refresh, fetchDetails, open, close }
})
