import { useDocumentVisibility, useIntervalFn } from '@vueuse/core'
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import type { Ref } from 'vue'
import type { WidgetSource } from '~/api/dashboards'
import { fetchHistoryShared } from '~/api/histories'
import { appendFrame } from '~/utils/chart/append'
import type { HistoryData, SeriesData } from '~/utils/chart/series'
import { REFRESH_MS, sourceQuery } from '~/utils/dashboards'
import { historyOf } from '~/utils/sourceHistory'
import type { SourceHistory } from '~/utils/sourceHistory'
import { MINUTE_MS, SECOND_MS } from '~/utils/units'

// Live values only approximate the newest buckets: a fetch now and then corrects them.
const CORRECT_EVERY_MS = 5 * MINUTE_MS
// How often a bucket is drawn while it fills.
const STEPS = 4
const CHECK_EVERY_MS = 5 * SECOND_MS

/** The history of a source over the time of the dashboard, fetched again when that changes; live values are appended to it. */
export function useSourceHistory(source: Ref<WidgetSource | null>, limits: { points: Ref<number>, lines: number }, earlierMs: Ref<number> = ref(0)) {
  const errorText = useErrorText()
  const sources = useSourcesStore()
  const visibility = useDocumentVisibility()
  const { choices, time, refresh, isLive, shared } = useDashboard()
  const widgetId = useWidgetId()
  const history = shallowRef<SourceHistory | null>(null)
  const error = ref('')
  let controller: AbortController | null = null
  let fetchedMs = 0
  let appendedAt = 0

  const query = computed(() => (source.value && source.value.metrics.length > 0
    ? sourceQuery(source.value, choices.value, time.value, { points: limits.points.value, lines: limits.lines }, earlierMs.value)
    : null))
  // What was is not told live.
  const follows = computed(() => isLive.value && refresh.value === 'live' && time.value.between === null && earlierMs.value === 0)
  const { present } = usePresent(computed(() => (follows.value ? source.value : null)))

  async function load(): Promise<void> {
    controller?.abort()
    const mine = controller = new AbortController()
    if (query.value === null) {
      history.value = null
      error.value = ''
      return
    }
    fetchedMs = Date.now()
    try {
      const answer = await (shared ? shared.history(widgetId, limits.points.value, earlierMs.value, mine.signal) : fetchHistoryShared(query.value, mine.signal))
      if (controller !== mine) return
      history.value = historyOf(answer)
      error.value = ''
      append()
    }
    catch (cause) {
      if (controller === mine) error.value = errorText(cause)
    }
  }

  /** Values of an instant that are newer than the history. */
  function append(): void {
    const found = history.value
    appendedAt = performance.now()
    if (!found || !present.value || !follows.value) return
    let data: HistoryData = found.data
    const instants = new Map<number, typeof present.value>()
    for (const value of present.value) instants.set(value.timeMs, [...(instants.get(value.timeMs) ?? []), value])
    for (const [timeMs, values] of [...instants].sort(([a], [b]) => a - b)) {
      const known = values.filter(({ key }) => found.isComplete || found.data.series.some(series => series.key === key))
      const series = known.map(({ metric, labels, unit, value }) => ({ metric, labels, unit, kind: 'gauge' as const, value, rate: null }))
      data = appendFrame(data, { timeMs, intervalMs: found.spacingMs, series }, new Set(known.map(({ metric }) => metric)), time.value.rangeMs)
      data = { ...data, series: data.series.map(item => widened(item, timeMs, known.find(({ key }) => key === item.key)?.extremes)) }
    }
    history.value = { ...found, data }
  }

  /** The band of what was combined is as wide as what it combines. */
  function widened(series: SeriesData, timeMs: number, extremes: readonly [number, number] | null | undefined): SeriesData {
    if (!extremes || !series.min || !series.max || series.newestMs !== timeMs) return series
    const last = series.min.length - 1
    return {
      ...series,
      min: [...series.min.slice(0, last), Math.min(series.min[last] ?? Infinity, extremes[0])],
      max: [...series.max.slice(0, last), Math.max(series.max[last] ?? -Infinity, extremes[1])],
    }
  }

  watch(() => JSON.stringify(query.value), load, { immediate: true })
  // The newest of a hundred buckets changes little within a second.
  watch(present, () => {
    const stepMs = history.value?.data.stepMs ?? 0
    if (performance.now() - appendedAt >= stepMs / STEPS - SECOND_MS / 2) append()
  })
  useIntervalFn(() => {
    if (visibility.value !== 'visible' || time.value.between !== null || !isLive.value) return
    const everyMs = refresh.value === 'live' ? CORRECT_EVERY_MS : REFRESH_MS[refresh.value]
    if (everyMs !== null && Date.now() - fetchedMs >= Math.max(everyMs, history.value?.data.stepMs ?? 0)) void load()
  }, CHECK_EVERY_MS)
  // What came while it did not follow is fetched at once.
  watch([() => sources.holes, follows], () => {
    if (follows.value) void load()
  })
  watch(visibility, (value) => {
    if (value === 'visible' && refresh.value === 'live' && isLive.value) void load()
  })
  onScopeDispose(() => controller?.abort())
  tellTrouble(error, load)
  return { history, error, load }
}
