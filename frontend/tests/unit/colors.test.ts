import { describe, expect, it } from 'vitest'
import { PALETTE, colorIndex, lineStyles } from '~/utils/chart/colors'
import { seriesKey } from '~/utils/chart/series'

const item = (metric: string, labels: Record<string, string> = {}) => ({ key: seriesKey(metric, labels), metric, labels })

describe('the seed', () => {
  const pair = (a: string, b: string, label: string, value: string) => [item(a, { [label]: value }), item(b, { [label]: value })]
  const devices = ['vda', 'sda', 'nvme0n1', 'xvda']
  const nics = ['eth0', 'ens5', 'ens3', 'eno1', 'enp0s3']
  it.each([
    [[item('cpu_usage_ratio'), ...['user', 'system', 'iowait', 'nice', 'irq', 'softirq', 'steal'].map(mode => item('cpu_time_seconds_total', { mode }))]],
    [[item('load_1m'), item('load_5m'), item('load_15m')]],
    [[item('memory_used_bytes'), item('memory_cached_bytes'), item('memory_available_bytes')]],
    [[item('memory_usage_ratio'), item('swap_usage_ratio')]],
    ...devices.map(device => [pair('disk_read_bytes_total', 'disk_write_bytes_total', 'device', device)]),
    ...nics.map(nic => [pair('network_receive_bytes_total', 'network_transmit_bytes_total', 'interface', nic)]),
  ])('gives the lines of a default chart different colours', (lines) => {
    expect(new Set(lines.map(({ metric, labels }) => colorIndex(metric, labels))).size).toBe(lines.length)
  })
  it('gives the accent colour to the main series of CPU and memory', () => {
    expect(colorIndex('cpu_usage_ratio', {})).toBe(0)
    expect(colorIndex('memory_used_bytes', {})).toBe(0)
  })
})

it('depends on the series only', () => {
  expect(colorIndex('m', { a: '1', b: '2' })).toBe(colorIndex('m', { b: '2', a: '1' }))
})

it('tells lines of the same colour apart by dashes', () => {
  const lines = Array.from({ length: 20 }, (_, i) => item('m', { core: String(i) }))
  const styles = lineStyles(lines)
  expect(styles.get(lines[0]!.key)?.dash).toEqual([])
  expect(new Set([...styles.values()].map(({ color, dash }) => `${color} ${dash.join()}`)).size).toBeGreaterThan(8)
})

describe('contrast on the surface of a theme', () => {
  const luminance = (hex: string) => {
    const [r, g, b] = [1, 3, 5].map(i => Number.parseInt(hex.slice(i, i + 2), 16) / 255).map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
  }
  const contrast = (a: string, b: string) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
    return (high! + 0.05) / (low! + 0.05)
  }
  it.each(PALETTE.light)('%s on white', color => expect(contrast(color, '#ffffff')).toBeGreaterThanOrEqual(3))
  it.each(PALETTE.dark)('%s on the dark card', color => expect(contrast(color, '#121a2b')).toBeGreaterThanOrEqual(3))
})
