import { computed } from 'vue'
import type { Ref } from 'vue'
import type { Server } from '~/api/servers'
import { gapThreshold } from '~/utils/chart/align'
import { rangeEnd, rangeStart } from '~/utils/chart/range'
import { sumSeries } from '~/utils/chart/series'
import { BITS_PER_BYTE, HOUR_MS } from '~/utils/units'
import { CARD_METRICS } from '~/utils/views'
import type { Family } from '~/utils/views'

/** The last hour of a card's headline value. */
export interface CardSpark {
  times: number[]
  values: number[]
  startMs: number
  endMs: number
  gapMs: number
}

const RANGE_MS = HOUR_MS
// One point per 20 s: the line on a card is about 240 px wide, and the trend compares minutes.
const MAX_POINTS = 180
const EMPTY_SPARK: CardSpark = { times: [], values: [], startMs: 0, endMs: 1, gapMs: 1 }

export function useCardSparks(server: Ref<Server>) {
  // One request for all four cards.
  const { historyWindow } = useHistory(computed(() => ({
    serverId: server.value.id, metrics: Object.values(CARD_METRICS).flat(), rangeMs: RANGE_MS, endMs: rangeEnd(server.value), maxPoints: MAX_POINTS,
  })))

  const sparkOf = (family: Family): CardSpark => {
    const history = historyWindow.value?.data
    if (!history) return EMPTY_SPARK
    const { times, values } = sumSeries(history.series, CARD_METRICS[family])
    return {
      times,
      values: family === 'network' ? values.map(value => value * BITS_PER_BYTE) : values,
      // An agent may have sent what it sampled before the API server knew its server.
      startMs: rangeStart(history.endMs, RANGE_MS, Math.min(server.value.first_seen_ms, times[0] ?? Infinity)),
      endMs: history.endMs,
      gapMs: gapThreshold(history.stepMs, server.value.interval_ms),
    }
  }

  return computed<Record<Family, CardSpark>>(() => ({
    cpu: sparkOf('cpu'), memory: sparkOf('memory'), disk: sparkOf('disk'), network: sparkOf('network'),
  }))
}
