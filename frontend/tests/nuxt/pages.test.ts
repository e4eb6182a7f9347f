import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import App from '~/app.vue'
import type { Answer } from './helpers'
import { eventually, serveApi, simulated, violations } from './helpers'

type Mounted = Awaited<ReturnType<typeof mountSuspended<typeof App>>>
let app: Mounted | undefined

beforeEach(() => {
  localStorage.clear()
  const servers = useServersStore()
  servers.$patch({ all: [], loaded: false })
  useMetricsStore().snapshots.clear()
})
afterEach(() => app?.unmount())

async function open(path: string, answer: Answer): Promise<Mounted> {
  serveApi(answer)
  app = await mountSuspended(App, { route: path, attachTo: document.body })
  return app
}

const only = (answer: Answer): Answer => (url, method, body) => {
  const all = answer(url, method, body)
  return url.pathname === '/api/servers' && typeof all === 'object' ? { servers: (all as { servers: { id: number }[] }).servers.filter(({ id }) => id === 3), next: null } : all
}

it('opens the only server, and puts its id into the URL', async () => {
  const page = await open('/', only(simulated))
  await eventually(() => expect(useRoute().path).toBe('/servers/3'))
  await eventually(() => expect(page.find('[data-testid=cpu-value]').text()).toMatch(/%$/))
})

describe('the fleet', () => {
  const names = (page: Mounted) => page.findAll('[data-testid=fleet] tbody td:first-child a').map(link => link.text())

  it('shows what is wrong first, and sorts and filters', async () => {
    const page = await open('/', simulated)
    await eventually(() => expect(names(page).length).toBe(7))
    const servers = useServersStore()
    expect(names(page)[0]).toBe(servers.servers.find(server => server.state !== 'up')!.name)
    expect(await violations(page.get('main').element)).toEqual([])
    await page.get('[data-testid=fleet] thead th:nth-child(1) button').trigger('click')
    await eventually(() => expect(names(page)).toEqual([...names(page)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }))))
    expect(page.get('[data-testid=fleet] thead th').attributes('aria-sort')).toBe('ascending')
    expect(useRoute().query).toMatchObject({ sort: 'name', order: 'asc' })
    await page.get('input[type=search]').setValue('db')
    await eventually(() => expect(names(page).every(name => name.includes('db'))).toBe(true))
    await page.get('input[type=search]').setValue('no such server')
    await eventually(() => expect(page.find('[data-testid=fleet]').exists()).toBe(false))
    expect(page.text()).toContain('No server matches.')
  })

  it('shows the values of its servers, and the alerts that fire', async () => {
    const page = await open('/', (url, method, body) => (url.pathname === '/api/alerts/active'
      ? { alerts: [{ id: 1, rule_name: 'Disk full', severity: 'critical', server_id: 3, server_name: 'storage-12', series: 'filesystem_usage_ratio{mountpoint="/srv"}', since_ms: 1, fired_ms: Date.now() }], next: null }
      : simulated(url, method, body)))
    await eventually(() => expect(page.findAll('[data-testid=fleet] tbody td:nth-child(2)').filter(cell => /%/.test(cell.text())).length).toBeGreaterThan(5))
    await eventually(() => expect(page.find('[data-testid=fleet-alerts]').text()).toContain('Disk full'))
    const row = page.findAll('[data-testid=fleet] tbody tr').find(found => found.text().includes('storage-12'))!
    expect(row.text()).toContain('1 alert fires')
    expect(await violations(page.get('main').element)).toEqual([])
  })
})

it('shows the cards, the history and the chooser of a server', async () => {
  const page = await open('/servers/3?family=disk', simulated)
  await eventually(() => expect(page.find('[data-testid=cpu-value]').exists()).toBe(true))
  await eventually(() => expect(page.find('[data-testid=history-chart] [role=application]').exists()).toBe(true))
  expect(page.findAll('article')).toHaveLength(4)
  expect(page.get('[data-testid=server-chooser]').text()).toContain('storage-12')
  expect(await violations(page.element)).toEqual([])
})

it('waits for the first server', async () => {
  const page = await open('/', (url, method) => (url.pathname === '/api/servers' ? { servers: [], next: null } : simulated(url, method)))
  await eventually(() => expect(page.text()).toContain('bongsu agent run'))
  expect(await violations(page.element)).toEqual([])
})

it('says that a server does not exist', async () => {
  const page = await open('/servers/999', simulated)
  await eventually(() => expect(page.text()).toContain('999'))
})

it('says that the API server is unreachable', async () => {
  const page = await open('/servers/1', () => 'unreachable')
  await eventually(() => expect(page.find('[role=alert]').exists()).toBe(true))
  expect(await violations(page.element)).toEqual([])
})

describe('the explorer', () => {
  it('offers every metric, and draws the one that is chosen', async () => {
    const page = await open('/metrics', simulated)
    await eventually(() => expect(page.findAll('main li').length).toBeGreaterThan(20))
    expect(await violations(page.get('main').element)).toEqual([])
    await page.get('main input[type=search]').setValue('filesystem usage')
    expect(page.findAll('main li')).toHaveLength(1)
    await page.get('main li button').trigger('click')
    await eventually(() => expect(useRoute().query.metric).toEqual(['filesystem_usage_ratio']))
    await eventually(() => expect(page.find('[data-testid=explorer-chart] [role=application]').exists()).toBe(true))
    expect(await violations(page.get('main').element)).toEqual([])
  })

  it('restores a link: servers, range, combination', async () => {
    const asked: URLSearchParams[] = []
    const page = await open('/metrics?metric=load_1m&metric=cpu_usage_ratio&server=1,3&combine=max&by=server&range=6h', (url, method, body) => {
      if (url.pathname === '/api/metrics/history') asked.push(url.searchParams)
      return simulated(url, method, body)
    })
    await eventually(() => expect(page.findAll('[data-testid=explorer-chart]')).toHaveLength(2))
    await eventually(() => expect(asked.map(query => query.get('metric'))).toEqual(expect.arrayContaining(['load_1m', 'cpu_usage_ratio'])))
    const query = asked.find(found => found.get('metric') === 'load_1m')!
    expect([query.getAll('server'), query.get('across'), query.getAll('group_by'), query.get('start')]).toEqual([['1', '3'], 'max', ['server'], '-21600s'])
    await eventually(() => expect(page.get('[data-testid=explorer-chart]').findAll('tbody tr').length).toBe(2))
    expect(page.get('[data-testid=server-picker]').text()).toMatch(/2/)
    await page.get('[data-testid=server-picker]').trigger('click')
    await page.get('main input[type=checkbox]:checked').trigger('change')
    await eventually(() => expect(String(useRoute().query.server).split(',')).toHaveLength(1))
    await page.get('[data-testid=explorer-range]').setValue('absolute')
    await eventually(() => expect(page.findAll('input[type=datetime-local]')).toHaveLength(2))
    expect(await violations(page.get('main').element)).toEqual([])
  })

  it('tells why a chart cannot be drawn, and tries again', async () => {
    let broken = true
    const page = await open('/metrics?metric=load_1m', (url, method, body) =>
      (url.pathname === '/api/metrics/history' && broken ? 'unreachable' : simulated(url, method, body)))
    await eventually(() => expect(page.find('[data-testid=explorer-chart] [role=alert]').exists()).toBe(true))
    broken = false
    await page.get('[data-testid=explorer-chart] [role=alert] button').trigger('click')
    await eventually(() => expect(page.find('[data-testid=explorer-chart] [role=application]').exists()).toBe(true))
  })
})

it('leads to every page', async () => {
  // Only the bar of a small screen leads to it.
  const { happyDOM } = window as unknown as { happyDOM: { setViewport: (size: { width: number }) => void } }
  happyDOM.setViewport({ width: 400 })
  onTestFinished(() => happyDOM.setViewport({ width: 1024 }))
  const page = await open('/settings', simulated)
  await eventually(() => expect(page.findAll('main nav a').map(link => link.attributes('href'))).toEqual(['/account', '/tokens', '/agents', '/users', '/audit', '/storage', '/health', '/about']))
  expect(page.findAll('[aria-current=page]').map(link => link.attributes('href'))).toEqual(['/settings'])
  expect(await violations(page.element)).toEqual([])
})

it('goes to pages with two keys, and lists them with a question mark', async () => {
  const page = await open('/settings', simulated)
  const press = (key: string) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))
  press('g')
  press('m')
  await eventually(() => expect(useRoute().path).toBe('/metrics'))
  press('?')
  await eventually(() => expect(page.findAll('dialog kbd').length).toBeGreaterThan(5))
})

describe('the settings pages', () => {
  const rows: [string, number, string][] = [
    ['account', 2, '203.0.113.7'],
    ['agents', 7 + 3, 'web servers'],
    ['tokens', 3, 'deploy script'],
    ['users', 4, 'minji.kim@example.com'],
    ['audit', 3, 'role: viewer → operator'],
    ['health', 10 + 2, 'sealer'],
  ]
  it.each(rows)('list at /%s all %d rows', async (path, count, text) => {
    const page = await open(`/${path}`, simulated)
    await eventually(() => expect(page.findAll('main li')).toHaveLength(count))
    expect(page.get('main').text()).toContain(text)
    expect(await violations(page.element)).toEqual([])
  })

  it('tell what the API server does, and what it dropped why', async () => {
    const page = await open('/about', simulated)
    await eventually(() => expect(page.get('main').text()).toContain('wrong_frame_length'))
    const shown = page.get('main').text().replaceAll('\u00A0', ' ')
    for (const fact of ['3,000/s', '20/s', '2.00 KiB', '5.00 GiB']) expect(shown).toContain(fact)
    const drops = page.findAll('main section').find(section => section.text().includes('wrong_frame_length'))!.findAll('li')
    expect(drops.map(drop => drop.text().match(/\d+$/)?.[0])).toEqual(['12', '3'])
    expect(await violations(page.element)).toEqual([])
  })

  it('tell what is wrong with Bongsu itself in plain words', async () => {
    const problems = [{ code: 'worker_silent', message: 'The worker does not run.', parameters: {}, since_ms: Date.now() - 180_000 }, { code: 'brand_new', message: 'Something new is wrong.', parameters: {}, since_ms: Date.now() },
      { code: 'disk_full', message: 'The disk is full.', parameters: {}, since_ms: Date.now() }]
    const jobs = [{ name: 'compactor', good_ms: 0, error: 'OSError: broken', failing: 3 }]
    const alerts = { evaluated_ms: null, skipped: [{ kind: 'rule', id: 7, why: 'it cannot be read' }], blind_servers: [1], untold: 0, waiting: 2, oldest_waiting_ms: Date.now() - 700_000, dead: 0 }
    const page = await open('/health', (url, method) =>
      url.pathname === '/api/health' ? { ...simulated(url, method) as object, status: 'degraded', problems, jobs, alerts } : simulated(url, method))
    await eventually(() => expect(page.findAll('main li')).toHaveLength(3 + 10 + 1))
    for (const text of [/봉인, 롤업, 삭제, 경보 평가가 모두 멈춰|nothing is sealed, rolled up or deleted/, /brand_newSomething new is wrong\./, /아무것도 저장할 수 없습니다|nothing can be stored/, /OSError: broken/, /rule 7: it cannot be read/]) {
      expect(page.get('main').text()).toMatch(text)
    }
    expect(await violations(page.element)).toEqual([])
  })

  it('say that the health of Bongsu cannot be read', async () => {
    const page = await open('/health', (url, method) => url.pathname === '/api/health' ? 'unreachable' : simulated(url, method))
    await eventually(() => expect(page.find('main [role=alert] button').exists()).toBe(true))
  })

  it('revoke API tokens with a new password, unless told not to', async () => {
    const changes: unknown[] = []
    const page = await open('/users', (url, method, body) => {
      if (method === 'PATCH') changes.push(body)
      return method === 'PATCH' ? {} : simulated(url, method)
    })
    for (const revokes of [true, false]) {
      await eventually(() => expect(page.findAll('main li')).toHaveLength(4))
      await page.findAll('main li button').find(button => /편집|Edit/.test(button.text()))!.trigger('click')
      await eventually(() => expect(page.find('dialog [type=password]').exists()).toBe(true))
      expect(page.find('dialog [role=checkbox]').exists()).toBe(false)
      await page.get('dialog [type=password]').setValue('beacon fire 78')
      expect(page.get('dialog [role=checkbox]').attributes('aria-checked')).toBe('true')
      expect(await violations(page.element)).toEqual([])
      if (!revokes) await page.get('dialog [role=checkbox]').trigger('click')
      await page.get('dialog form').trigger('submit')
      await eventually(() => expect(changes.at(-1)).toMatchObject({ password: 'beacon fire 78', revoke_api_tokens: revokes }))
      await eventually(() => expect(page.find('dialog').exists()).toBe(false))
    }
  })

  it('retire, restore and delete servers after a question that names them', async () => {
    const calls: string[] = []
    let retired = false
    const page = await open('/agents', (url, method) => {
      if (method !== 'GET') {
        calls.push(`${method} ${url.pathname}`)
        retired = url.pathname.endsWith('/retire')
        return {}
      }
      const answer = simulated(url, method)
      if (url.pathname !== '/api/servers' || answer === 'unreachable') return answer
      const { servers } = answer as { servers: { id: number }[] }
      return { ...answer, servers: servers.map(server => (retired && server.id === 1 ? { ...server, state: 'retired' } : server)) }
    })
    const row = () => page.findAll('main li').find(item => item.find('a[href="/servers/1"]').exists())!
    for (const [label, text] of [[/사용 중지|^Retire$/, /사용을 중지|Retire/], [/다시 사용|^Restore$/, /다시 사용|Restore/], [/^삭제$|^Delete$/, /영구히|for good/]] as const) {
      await eventually(() => expect(row().findAll('button').some(button => label.test(button.text()))).toBe(true))
      await row().findAll('button').find(button => label.test(button.text()))!.trigger('click')
      await eventually(() => expect(page.find('dialog').exists()).toBe(true))
      expect(page.get('dialog').text()).toMatch(text)
      expect(page.get('dialog').text()).toContain(row().get('a').text().trim())
      await page.get('dialog form').trigger('submit')
      await eventually(() => expect(page.find('dialog').exists()).toBe(false))
    }
    expect(calls).toEqual(['POST /api/servers/1/retire', 'POST /api/servers/1/restore', 'DELETE /api/servers/1'])
  })

  it('explain tags that cannot be parsed', async () => {
    const page = await open('/users', simulated)
    await eventually(() => expect(page.findAll('main li')).toHaveLength(4))
    await page.get('[data-testid=add-user]').trigger('click')
    await page.get('[placeholder="team=web, site=seoul"]').setValue('web')
    await page.get('dialog form').trigger('submit')
    await eventually(() => expect(page.findAll('dialog [role=alert]').map(alert => alert.text()).join('\n')).toContain('team=web'))
  })
})

it('says why single sign-on did not log a person in', async () => {
  useSessionStore().$patch({ state: 'logged-out', user: null })
  const page = await open('/login?problem=oidc_second_factor', simulated)
  await eventually(() => expect(page.get('[role=alert]').text()).toMatch(/인증 코드|a code/))
  expect(await violations(page.element)).toEqual([])
})

it('asks for a login and then opens the requested page', async () => {
  const session = useSessionStore()
  session.$patch({ state: 'logged-out', user: null })
  const page = await open('/tokens', simulated)
  await eventually(() => expect(useRoute().fullPath).toBe('/login?next=/tokens'))
  const [email, password] = page.findAll('input')
  await email!.setValue('admin@example.com')
  await password!.setValue('beacon fire 77')
  await page.get('form').trigger('submit')
  await eventually(() => expect(useRoute().path).toBe('/tokens'))
})

it('retires and deletes a server on its own page', async () => {
  const calls: string[] = []
  const page = await open('/servers/1', (url, method) => {
    if (method === 'GET') return simulated(url, method)
    calls.push(`${method} ${url.pathname}`)
    return {}
  })
  for (const label of [/사용 중지|^Retire$/, /^삭제$|^Delete$/]) {
    await eventually(() => expect(page.find('[data-testid=server-actions]').exists()).toBe(true))
    await page.get('[data-testid=server-actions]').trigger('click')
    await page.findAll('main button').find(button => label.test(button.text()))!.trigger('click')
    await eventually(() => expect(page.find('dialog').exists()).toBe(true))
    await page.get('dialog form').trigger('submit')
    await eventually(() => expect(page.find('dialog').exists()).toBe(false))
  }
  expect(calls).toEqual(['POST /api/servers/1/retire', 'DELETE /api/servers/1'])
  await eventually(() => expect(useRoute().path).toBe('/'))
})
