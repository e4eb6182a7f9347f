// About one point per 3 px. The band keeps the peaks.
const MOST_POINTS = 500
const MOST_POINTS_PHONE = 150

/** How many points a chart of the explorer asks for. */
export function useChartPoints() {
  const isPhone = usePhone()
  return computed(() => (isPhone.value ? MOST_POINTS_PHONE : MOST_POINTS))
}
