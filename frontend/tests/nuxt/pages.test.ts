import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import App from '~/app.vue'
import type { Answer } from './helpers'
import { serveApi, simulated, violations } from './helpers'

type Mounted = Awaited<ReturnType<typeof mountSuspended<typeof App>>>
let app: Mounted | undefined

beforeEach(() => {
  localStorage.clear()
  const servers = useServersStore()
  servers.$patch({ servers: [], loaded: false })
  useMetricsStore().snapshots.clear()
})
afterEach(() => app?.unmount())

async function open(path: string, answer: Answer): Promise<Mounted> {
  serveApi(answer)
  app = await mountSuspended(App, { route: path, attachTo: document.body })
  return app
}

it('opens with a server that has something to show, and puts it into the address', async () => {
  const page = await open('/', simulated)
  await vi.waitFor(() => expect(useRoute().path).toMatch(/^\/servers\/\d+$/))
  await vi.waitFor(() => expect(page.find('[data-testid=cpu-value]').text()).toMatch(/%$/))
})

it('shows everything of a server', async () => {
  const page = await open('/servers/3?family=disk', simulated)
  await vi.waitFor(() => expect(page.find('[data-testid=cpu-value]').exists()).toBe(true))
  await vi.waitFor(() => expect(page.find('[data-testid=history-chart] [role=application]').exists()).toBe(true))
  expect(page.findAll('article')).toHaveLength(4)
  expect(page.get('[data-testid=server-chooser]').text()).toContain('storage-12')
  expect(await violations(page.element)).toEqual([])
})

it('waits for the first server', async () => {
  const page = await open('/', url => (url.pathname === '/api/servers' ? { servers: [], next: null } : simulated(url)))
  await vi.waitFor(() => expect(page.text()).toContain('bongsu agent run'))
  expect(await violations(page.element)).toEqual([])
})

it('says that a server does not exist', async () => {
  const page = await open('/servers/999', simulated)
  await vi.waitFor(() => expect(page.text()).toContain('999'))
})

it('says that the API is away', async () => {
  const page = await open('/servers/1', () => 'away')
  await vi.waitFor(() => expect(page.find('[role=alert]').exists()).toBe(true))
  expect(await violations(page.element)).toEqual([])
})
