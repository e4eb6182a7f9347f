import { describe, expect, it } from 'vitest'
import type { Alert } from '~/api/alerts'
import { alertState, historyQuery } from '~/utils/alerts'

const HOUR_MS = 3_600_000
const NOW = 1_790_000_000_000
const alert = (more: Partial<Alert>): Alert => ({ server_id: 3, series: 'cpu_usage_ratio', since_ms: NOW - 2 * HOUR_MS, resolved_ms: null, ...more }) as Alert

describe('the chart of an alert', () => {
  it('shows its series from before it began until now', () => {
    expect(alertState(alert({}), NOW)).toMatchObject({ metrics: ['cpu_usage_ratio'], servers: [3], labels: '', between: [NOW - 3 * HOUR_MS, NOW] })
  })
  it('ends a while after the alert', () => {
    expect(alertState(alert({ resolved_ms: NOW - HOUR_MS }), NOW)!.between![1]).toBe(NOW - 45 * 60_000)
    expect(alertState(alert({ resolved_ms: NOW - 1 }), NOW)!.between![1]).toBe(NOW)
  })
  it('has the labels of the series that can be a filter', () => {
    expect(alertState(alert({ series: 'disk_busy_ratio{device="sda",model="a \\"b\\"",path="C:\\\\x"}' }), NOW)).toMatchObject({ metrics: ['disk_busy_ratio'], labels: 'device=sda path=C:\\x' })
  })
  it.each([{ series: '' }, { series: 'server down' }, { server_id: 0 }])('does not exist: %o', more => expect(alertState(alert(more), NOW)).toBeNull())
})

it('asks for the past alerts that the filter lets through', () => {
  expect(historyQuery({ servers: [], severity: '', rule: '', range: 'all' }, 50, null)).toEqual({ start: '-50y', state: ['resolved'], limit: 50, server: [] })
  expect(historyQuery({ servers: [2], severity: 'critical', rule: 'Disk', range: '7d' }, 50, '8'))
    .toEqual({ start: '-7d', state: ['resolved'], limit: 50, server: [2], severity: ['critical'], rule: 'Disk', cursor: '8' })
})
