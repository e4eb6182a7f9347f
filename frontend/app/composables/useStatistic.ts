import { computed } from 'vue'
import type { Ref } from 'vue'
import type { WidgetSource } from '~/api/dashboards'
import { statisticOf } from '~/utils/sourceHistory'
import type { Statistic } from '~/utils/sourceHistory'

/** A number of a series or group, in its base unit. */
export interface Measured { key: string, metric: string, labels: Record<string, string>, unit: string, isRate: boolean, value: number | null }

const POINTS = ref(100)
const MOST_SERIES = 1_000

/**
 * One number for each series of a source: the present value, or a statistic over the time of the dashboard. Times of before have no present:
 * there the last value counts. `history`: also of present values, for a line.
 */
export function useStatistic(source: Ref<WidgetSource>, statistic: Ref<Statistic>, withHistory: Ref<boolean> = ref(false), lines = MOST_SERIES) {
  const { time } = useDashboard()
  const isPresent = computed(() => statistic.value === 'last' && time.value.between === null)
  const { present, error: presentError, load: loadPresent } = usePresent(computed(() => (isPresent.value ? source.value : null)))
  const { history, error: historyError, load: loadHistory } = useSourceHistory(computed(() => (isPresent.value && !withHistory.value ? null : source.value)), { points: POINTS, lines })

  const measured = computed<Measured[] | null>(() => {
    if (isPresent.value) return present.value
    const found = history.value
    if (!found) return null
    const { data, baseUnit, isRate } = found
    // The sum of rates is an amount.
    const isAmount = isRate && statistic.value === 'sum'
    return data.series.map(series => ({
      key: series.key, metric: series.metric, labels: series.labels, unit: found.units.get(series.metric)?.unit ?? baseUnit,
      isRate: !isAmount && (found.units.get(series.metric)?.isRate ?? isRate),
      value: statisticOf(series, statistic.value, data.stepMs, found.units.get(series.metric)?.isRate ?? isRate),
    }))
  })
  const error = computed(() => (isPresent.value ? presentError.value : historyError.value))
  const loading = computed(() => source.value.metrics.length > 0 && measured.value === null)
  const load = () => Promise.all([isPresent.value ? loadPresent() : null, loadHistory()])
  return { measured, history, error, loading, load }
}
