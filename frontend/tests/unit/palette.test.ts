import { expect, it } from 'vitest'
import type { CatalogMetric } from '~/api/catalog'
import type { Server } from '~/api/servers'
import { paletteItems } from '~/utils/palette'

const servers = Array.from({ length: 200 }, (_, i) => ({ id: i + 1, name: `web-${i + 1}`, host: { hostname: `host-${i + 1}` } }) as Server)
const found = {
  servers,
  pages: [{ key: '/', label: '서버', icon: '' }, { key: '/alerts', label: 'Alerts', icon: '' }],
  metrics: [{ metric: 'cpu_usage_ratio' }, { metric: 'load_1m' }] as CatalogMetric[],
  actions: [{ key: 'theme', label: 'Dark theme', icon: '' }],
}
const keys = (query: string) => paletteItems(query, found).map(item => item.key)

it('offers servers and pages first, and metrics once something is typed', () => {
  expect(keys('')).toEqual([...servers.slice(0, 50).map(server => `server-${server.id}`), '/', '/alerts', 'theme'])
  expect(keys('usage')).toEqual(['cpu_usage_ratio'])
})

it('finds by every word, whatever the case and however Korean is composed', () => {
  expect(keys('WEB 17')).toEqual(['server-17', 'server-117', 'server-170', 'server-171', 'server-172', 'server-173', 'server-174', 'server-175', 'server-176', 'server-177', 'server-178', 'server-179'])
  expect(keys('host-200')).toEqual(['server-200'])
  expect(keys('서버'.normalize('NFD'))).toEqual(['/'])
  expect(keys('dark')).toEqual(['theme'])
  expect(keys('no such thing')).toEqual([])
})
