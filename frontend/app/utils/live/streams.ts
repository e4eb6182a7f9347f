// Turns messages of the live stream into frames. A message refers to lists of series and to streams that were described before.
import { Kind } from '~/api/proto/live'
import type { Gap, SeriesDescriptor, ServerMessage } from '~/api/proto/live'
import type { LiveSeries } from '~/api/metrics'

/** The values of one server at one time. `stream`: which part of its series they are. */
export interface StreamFrame {
  stream: number
  serverId: number
  timeMs: number
  intervalMs: number
  series: LiveSeries[]
}

export class LiveStreams {
  private readonly lists = new Map<number, readonly SeriesDescriptor[]>()
  private readonly streams = new Map<number, { serverId: number, list: number, intervalMs: number }>()
  /** Server id -> time of its newest frame. */
  private readonly newestMs = new Map<number, number>()

  /** Forgets everything: numbers of another connection mean something else. */
  clear(): void {
    this.lists.clear()
    this.streams.clear()
  }

  /** Takes over what a message describes, and returns its frames in the order of time. */
  take(message: ServerMessage): StreamFrame[] {
    for (const { id, series } of message.seriesLists) this.lists.set(id, series)
    for (const { id, server, seriesList, intervalMs } of message.streams) this.streams.set(id, { serverId: server, list: seriesList, intervalMs })
    const frames: StreamFrame[] = []
    for (const { stream, timeMs, values, rates } of message.values) {
      const info = this.streams.get(stream)
      const list = info && this.lists.get(info.list)
      if (!list) continue
      const frame = { stream, serverId: info.serverId, timeMs, intervalMs: info.intervalMs, series: toSeries(list, values, rates) }
      this.newestMs.set(frame.serverId, Math.max(frame.timeMs, this.newestMs.get(frame.serverId) ?? 0))
      frames.push(frame)
    }
    return frames.sort((a, b) => a.timeMs - b.timeMs)
  }

  /** The time of the newest frame of a server; 0: none yet. */
  newest(serverId: number): number {
    return this.newestMs.get(serverId) ?? 0
  }
}

function toSeries(list: readonly SeriesDescriptor[], values: readonly number[], rates: readonly number[]): LiveSeries[] {
  let counters = 0
  return list.map(({ metric, labels, unit, kind }, index) => {
    const isCounter = kind === Kind.COUNTER
    return {
      metric, labels, unit,
      kind: isCounter ? 'counter' : 'gauge',
      value: finite(values[index]),
      rate: isCounter ? finite(rates[counters++]) : null,
    }
  })
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null
}

/** Whether a gap lies within a range of time. */
export function overlaps(gap: Gap, startMs: number): boolean {
  return gap.endMs >= startMs
}
