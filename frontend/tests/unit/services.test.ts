// The services of systemd.
import { describe, expect, it } from 'vitest'
import type { LiveSeries } from '../../app/api/metrics'
import { makeSnapshot } from '../../app/utils/readings'
import { countOthers, readServices } from '../../app/utils/services'

const series = (metric: string, service: string, value: number | null, rate: number | null = null) =>
  ({ metric, labels: service ? { service } : {}, value, rate }) as unknown as LiveSeries

describe('services', () => {
  it('are in the order of their use, with the others at the end', () => {
    const snapshot = makeSnapshot(1, [
      series('services_in_others', '', 12),
      ...['cron', '(others)', 'nginx', 'ssh'].flatMap((name, index) => [
        series('service_cpu_usage_ratio', name, name === 'nginx' ? 0.5 : name === '(others)' ? 0.9 : 0),
        series('service_memory_working_set_bytes', name, 100 * (index + 1)),
      ]),
      series('service_disk_read_bytes_total', 'nginx', 4096, 7),
      series('service_cpu_usage_ratio', 'ended', null),
      series('service_memory_working_set_bytes', 'ended', null),
    ])
    expect(readServices(snapshot)).toEqual([
      { name: 'nginx', isOthers: false, cpu: 0.5, memory: 300, read: 7, written: null },
      { name: 'ssh', isOthers: false, cpu: 0, memory: 400, read: null, written: null },
      { name: 'cron', isOthers: false, cpu: 0, memory: 100, read: null, written: null },
      { name: '(others)', isOthers: true, cpu: 0.9, memory: 200, read: null, written: null },
    ])
    expect(countOthers(snapshot)).toBe(12)
  })

  it('of a server without systemd are none', () => {
    expect(readServices(makeSnapshot(1, []))).toEqual([])
    expect(countOthers(makeSnapshot(1, []))).toBe(0)
  })
})
