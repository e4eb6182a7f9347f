import { describe, expect, it } from 'vitest'
import { serverMessage } from '../answers/live'
import type { EventType, ServerEvent } from '~/api/events'
import { axisEnd, downSpans, linesOf, markersOf } from '~/utils/chart/markers'
import type { PlotArea } from '~/utils/chart/markers'
import { labelsOf, mergeEvents, toneOf } from '~/utils/events'
import { toServerEvents } from '~/utils/live/events'

let nextId = 0
function event(timeMs: number, type: EventType, more: Partial<ServerEvent> = {}): ServerEvent {
  return { id: ++nextId, time_ms: timeMs, server_id: 1, server_name: 'web-1', type, alert_id: null, rule_name: '', severity: null, series: '', before: '', after: '', ...more }
}

// 1 px is 1 s.
const AREA: PlotArea = { left: 50, top: 10, width: 600, height: 200, fromMs: 0, toMs: 600_000 }

describe('tones', () => {
  it('are those of the state or the severity', () => {
    expect(toneOf(event(0, 'server_down'))).toBe('critical')
    expect(toneOf(event(0, 'server_up'))).toBe('ok')
    expect(toneOf(event(0, 'alert_fired', { severity: 'info' }))).toBe('info')
    expect(toneOf(event(0, 'alert_resolved', { severity: 'critical' }))).toBe('ok')
    expect(toneOf(event(0, 'rebooted'))).toBe('unknown')
  })
})

describe('lists', () => {
  it('are merged newest first, and hold each event once', () => {
    const [a, b, c] = [event(1, 'server_added'), event(2, 'server_down'), event(3, 'server_up')]
    expect(mergeEvents([b], [c, a, b])).toEqual([c, b, a])
  })
  it('stay the same when there is nothing new', () => {
    const list = [event(1, 'server_added')]
    expect(mergeEvents(list, [list[0]!])).toBe(list)
  })
  it('show the labels of a series', () => {
    expect(labelsOf('filesystem_usage_ratio{mountpoint="/"}')).toBe('mountpoint="/"')
    expect(labelsOf('cpu_usage_ratio')).toBe('')
  })
})

describe('markers', () => {
  it('stand where the event was', () => {
    const [marker] = markersOf([event(100_000, 'server_down')], AREA)
    expect(marker).toMatchObject({ left: 150, tone: 'critical', shape: 'down' })
  })
  it('leave out what is not in the range', () => {
    expect(markersOf([event(-1, 'server_up'), event(600_001, 'server_up')], AREA)).toEqual([])
  })
  it('join what would overlap, and show the worst of it', () => {
    const close = [event(123_999, 'server_up'), event(100_000, 'alert_fired', { severity: 'warning' }), event(124_000, 'rebooted')]
    const markers = markersOf(close, AREA)
    expect(markers.map(marker => [marker.left, marker.events.length, marker.tone, marker.shape])).toEqual([[150, 2, 'warning', 'alert'], [174, 1, 'unknown', 'other']])
    expect(markers[0]!.events.map(item => item.type)).toEqual(['alert_fired', 'server_up'])
  })
  it('have one line for each px', () => {
    const lines = linesOf([event(100_000, 'server_up'), event(100_400, 'server_down'), event(101_000, 'rebooted')], AREA)
    expect(lines).toEqual([{ left: 150, tone: 'critical' }, { left: 151, tone: 'unknown' }])
  })
})

describe('times in which the server was down', () => {
  it('go from down to up', () => {
    expect(downSpans([event(200_000, 'server_up'), event(100_000, 'server_down')], AREA)).toEqual([{ left: 150, width: 100 }])
  })
  it('begin with the range, or end with it', () => {
    expect(downSpans([event(100_000, 'server_up'), event(500_000, 'server_down')], AREA)).toEqual([{ left: 50, width: 100 }, { left: 550, width: 100 }])
    expect(downSpans([event(-100_000, 'server_down')], AREA)).toEqual([{ left: 50, width: 600 }])
  })
  it('end when the server is retired', () => {
    expect(downSpans([event(0, 'server_down'), event(60_000, 'server_retired')], AREA)).toEqual([{ left: 50, width: 60 }])
  })
  it('before the range are not drawn', () => {
    expect(downSpans([event(-200_000, 'server_down'), event(-100_000, 'server_up')], AREA)).toEqual([])
  })
})

describe('the end of the axis', () => {
  it('shows what happened just after the last data', () => {
    const events = [event(99_000, 'server_down'), event(40_000, 'server_up')]
    expect(axisEnd(events, 0, 90_000)).toBe(99_000)
    expect(axisEnd(events, 0, 89_000)).toBe(89_000)
    expect(axisEnd(events, 0, 100_000)).toBe(100_000)
  })
})

describe('live events', () => {
  it('look like those of the API', () => {
    const fired = { id: 7, timeMs: 5_000n, type: 'alert_fired', server: 1, serverName: 'web-1', alert: 3, ruleName: 'CPU', severity: 'critical', series: 'cpu_usage_ratio' }
    expect(toServerEvents(serverMessage({ events: [fired] }).events)).toEqual([event(5_000, 'alert_fired', { id: 7, alert_id: 3, rule_name: 'CPU', severity: 'critical', series: 'cpu_usage_ratio' })])
    expect(toServerEvents(serverMessage({ events: [{ id: 8, type: 'server_up' }] }).events)[0]).toMatchObject({ alert_id: null, severity: null })
  })
})
