import { computed } from 'vue'
import type { Ref } from 'vue'
import type { Server } from '~/api/servers'
import { gapThreshold } from '~/utils/chart/align'
import { rangeStart } from '~/utils/chart/model'
import { sumSeries } from '~/utils/chart/series'
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

const RANGE_MS = 3_600_000
// One point per 20 s: a card's line is some 240 px wide, and the trend compares minutes.
const POINTS = 180

const METRICS: Record<Family, string[]> = {
  cpu: ['cpu_usage_ratio'],
  memory: ['memory_usage_ratio'],
  disk: ['disk_read_bytes_total', 'disk_write_bytes_total'],
  network: ['network_receive_bytes_total', 'network_transmit_bytes_total'],
}

export function useCardSparks(server: Ref<Server>) {
  const { window } = useHistory(computed(() => ({
    serverId: server.value.id, metrics: CARD_METRICS, rangeMs: RANGE_MS, endMs: historyEnd(server.value), maxPoints: POINTS,
  })))

  const sparkOf = (family: Family): CardSpark => {
    const data = window.value?.data
    if (!data) return { times: [], values: [], startMs: 0, endMs: 1, gapMs: 1 }
    const { times, values } = sumSeries(data.series, METRICS[family])
    return {
      times,
      values: family === 'network' ? values.map(value => value * 8) : values,
      startMs: rangeStart(data.endMs, RANGE_MS, server.value.first_seen_ms),
      endMs: data.endMs,
      gapMs: gapThreshold(data.stepMs, server.value.interval_ms),
    }
  }

  return computed<Record<Family, CardSpark>>(() => ({
    cpu: sparkOf('cpu'), memory: sparkOf('memory'), disk: sparkOf('disk'), network: sparkOf('network'),
  }))
}
