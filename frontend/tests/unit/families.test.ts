import { describe, expect, it } from 'vitest'
import type { CatalogMetric } from '~/api/catalog'
import type { LiveSeries } from '~/api/metrics'
import { groupByFamily } from '~/utils/families'
import { formatBaseUnit } from '~/utils/format'
import { makeSnapshot } from '~/utils/readings'

const series = (metric: string, labels: Record<string, string>, more: Partial<LiveSeries>): LiveSeries =>
  ({ metric, labels, unit: '', kind: 'gauge', value: null, rate: null, ...more })
const snapshot = makeSnapshot(1, [
  series('sensor_temperature_celsius', { sensor: 'Core 10' }, { unit: 'celsius', value: 51 }),
  series('sensor_temperature_celsius', { sensor: 'Core 2' }, { unit: 'celsius', value: 50 }),
  series('pressure_some_seconds_total', { resource: 'cpu' }, { unit: 'seconds', kind: 'counter', value: 900, rate: 0.25 }),
  series('mail_queue', {}, { value: 7 }),
])
const catalog = [{ metric: 'sensor_temperature_celsius', type: 'sensors' }, { metric: 'pressure_some_seconds_total', type: 'system' }] as CatalogMetric[]

describe('all readings', () => {
  it('are grouped by the family of the catalog, in natural order; counters show their growth', () => {
    const groups = groupByFamily(snapshot, catalog, '')
    expect(groups.map(group => group.family)).toEqual(['other', 'sensors', 'system'])
    expect(groups[1]!.rows.map(row => row.labels)).toEqual(['sensor=Core 2', 'sensor=Core 10'])
    expect(groups[2]!.rows[0]).toMatchObject({ value: 0.25, isRate: true })
    expect(groups[0]!.rows[0]).toMatchObject({ metric: 'mail_queue', value: 7, isRate: false })
  })
  it('are found by metric and label', () => {
    expect(groupByFamily(snapshot, catalog, 'temperature core 2').flatMap(group => group.rows.map(row => row.labels))).toEqual(['sensor=Core 2'])
    expect(groupByFamily(snapshot, catalog, 'nothing')).toEqual([])
  })
})

it('shows any base unit', () => {
  const shown = (...of: [number | null, string, boolean]) => formatBaseUnit(...of, 'en').replaceAll('\u00A0', ' ')
  expect(shown(51, 'celsius', false)).toBe('51 °C')
  expect(shown(0.25, 'seconds', true)).toBe('25.0%')
  expect(shown(0.5, 'seconds', false)).toBe('500 ms')
  expect(shown(90_000, 'seconds', false)).toBe('1d 1h')
  expect(shown(2048, 'bytes', true)).toBe('2.00 KiB/s')
  expect(shown(3, '', false)).toBe('3')
  expect(shown(3, '', true)).toBe('3/s')
  expect(shown(1200, 'rpm', false)).toBe('1,200 rpm')
  expect(shown(5, 'furlongs', false)).toBe('5 furlongs')
  expect(shown(null, 'bytes', false)).toBe('–')
})
