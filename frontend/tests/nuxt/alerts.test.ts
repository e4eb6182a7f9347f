import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, expect, it } from 'vitest'
import App from '~/app.vue'
import { eventually, serveApi, simulated, violations } from './helpers'

const NOW_MS = Date.now()
const MINUTE_MS = 60_000
const base = {
  id: 1, rule_id: 1, rule_name: 'Disk nearly full', severity: 'critical', priority: 1, server_id: 3, server_name: 'storage-12', series: 'filesystem_usage_ratio{mountpoint="/srv"}',
  state: 'firing', reason: 'breach', since_ms: NOW_MS - 5 * MINUTE_MS, fired_ms: NOW_MS - 4 * MINUTE_MS, resolved_ms: null as number | null, value: 0.95, threshold: 0.9, no_data: false, flapping: false,
  acknowledged_ms: null as number | null, acknowledged_by: '', acknowledged_comment: '', notified_ms: null,
}
const dead = {
  id: 9, channel_id: 1, channel_name: 'team mail', event: 'fired', rule_name: 'Disk nearly full', state: 'dead', created_ms: NOW_MS, due_ms: NOW_MS, sent_ms: null, attempts: 5,
  possibly_repeated: false, log: [{ time_ms: NOW_MS, outcome: 'failed', detail: '535 authentication failed', notes: [] }],
}
let acknowledged: string | null
let silenced: { scope: { names: string[] }, rules: string[] } | null
let sentAgain: boolean
let asked: URLSearchParams

function api(url: URL, method: string, body?: unknown): object | 'unreachable' {
  const alert = acknowledged === null ? base : { ...base, acknowledged_ms: NOW_MS, acknowledged_by: 'minji', acknowledged_comment: acknowledged }
  switch (`${method} ${url.pathname}`) {
    case 'GET /api/alerts/active': return { alerts: [alert], next: null }
    case 'POST /api/alerts/silences':
      silenced = body as typeof silenced
      return { id: 1, silence: body, created_by: 'minji', created_ms: NOW_MS, active_until_ms: null }
    case 'GET /api/alerts/notifications':
      asked = url.searchParams
      return { notifications: [dead, ...url.searchParams.has('state') ? [] : [{ ...dead, id: 10, state: 'sent', rule_name: 'Load', log: [] }]], next: null }
    case 'POST /api/alerts/notifications/9/send-again':
      sentAgain = true
      return { ...dead, state: 'queued' }
    case 'GET /api/alerts/history':
      asked = url.searchParams
      return url.searchParams.has('cursor')
        ? { alerts: [{ ...base, id: 2, rule_name: 'Older', state: 'resolved', resolved_ms: NOW_MS }], next: null }
        : { alerts: [{ ...base, id: 3, rule_name: 'Load', state: 'resolved', resolved_ms: NOW_MS }], next: '3' }
    case 'POST /api/alerts/1/acknowledge':
      acknowledged = (body as { comment: string }).comment
      return api(new URL('/api/alerts/active', url), 'GET') === 'unreachable' ? {} : { ...base, acknowledged_ms: NOW_MS, acknowledged_by: 'minji', acknowledged_comment: acknowledged }
    case 'GET /api/alerts/1': return {
      alert, summary: 'The filesystem /srv of storage-12 is 95 % full.', value_text: '95 %', trend_per_hour: null, processes_ms: NOW_MS,
      processes: [{ name: 'rsync', user: 'backup', cpu_ratio: 0.9, memory_bytes: 1_048_576 }],
      containers_ms: NOW_MS,
      containers: [{ name: 'shop-db-1', state: 'exited', exit_code: 137, oom_kills: 1, restarts: 0, cpu_ratio: 0, memory_bytes: 1_048_576 }],
      decisions: [
        { time_ms: NOW_MS - 4 * MINUTE_MS, event: 'fired', stage: 'silence', outcome: 'held back', detail: 'maintenance 1234 until 2026-07-31T12:00:00Z', notes: [{ code: 'silenced', parameters: { kind: 'maintenance', silence_id: 1234, until_ms: NOW_MS }, text: 'maintenance 1234 until 2026-07-31T12:00:00Z' }] },
        { time_ms: NOW_MS - 3 * MINUTE_MS, event: 'fired', stage: 'send', outcome: 'something new', detail: 'of an earlier version', notes: [] },
      ],
      notifications: [{ id: 9, channel_id: 1, channel_name: 'team', event: 'fired', rule_name: 'x', state: 'dead', created_ms: NOW_MS, due_ms: NOW_MS, sent_ms: null, attempts: 3 }],
    }
    default: return simulated(url, method, body)
  }
}

let app: Awaited<ReturnType<typeof mountSuspended<typeof App>>>
async function open(route: string) {
  serveApi(api)
  app = await mountSuspended(App, { route, attachTo: document.body })
  return app
}
beforeEach(() => {
  acknowledged = null
  silenced = null
  sentAgain = false
  asked = new URLSearchParams()
})
afterEach(() => app.unmount())

it('lists what fires and what was resolved, page by page', async () => {
  const page = await open('/alerts')
  await eventually(() => expect(page.findAll('[data-testid=alerts]').map(list => list.findAll('li').length)).toEqual([1, 1]))
  expect(page.findAll('[data-testid=alerts]')[0]!.text()).toContain('mountpoint="/srv"')
  expect(page.get('[data-testid=bell]').attributes('aria-label')).toBe('1 open alert')
  expect(await violations(page.get('main').element)).toEqual([])
  await page.findAll('button').find(button => button.text() === 'Show older alerts')!.trigger('click')
  await eventually(() => expect(page.findAll('[data-testid=alerts]')[1]!.text()).toContain('Older'))
})

it('acknowledges with a comment', async () => {
  const page = await open('/alerts')
  await eventually(() => expect(page.findAll('button').some(button => button.text() === 'Acknowledge')).toBe(true))
  await page.findAll('button').find(button => button.text() === 'Acknowledge')!.trigger('click')
  await page.get('dialog input').setValue('I am on it')
  await page.get('dialog form').trigger('submit')
  await eventually(() => expect(page.text()).toContain('Acknowledged by minji'))
  expect(acknowledged).toBe('I am on it')
  expect(page.get('[data-testid=bell]').attributes('aria-label')).toBe('No open alerts')
  expect(page.find('dialog').exists()).toBe(false)
})

it('tells the story of an alert: why it was told or not, to whom, and what used the server', async () => {
  const page = await open('/alerts/1')
  await eventually(() => expect(page.text()).toContain('The filesystem /srv of storage-12 is 95 % full.'))
  for (const text of ['Held back', 'Maintenance 1234 until', 'something new', 'of an earlier version', 'team', 'Given up', '3 attempts', 'rsync']) expect(page.text()).toContain(text)
  expect(page.get('[data-testid=server-chooser]').text()).toContain('Search')
  expect(await violations(page.get('main').element)).toEqual([])
})

it('says that an alert cannot be read', async () => {
  serveApi((url, method, body) => (url.pathname === '/api/alerts/5' ? 'unreachable' : api(url, method, body)))
  app = await mountSuspended(App, { route: '/alerts/5', attachTo: document.body })
  await eventually(() => expect(app.find('main [role=alert]').exists()).toBe(true))
})

it('acknowledges what is selected, and silences it', async () => {
  const page = await open('/alerts')
  await eventually(() => expect(page.find('[data-testid=select-all]').exists()).toBe(true))
  await page.get('[data-testid=select-all]').setValue(true)
  expect(page.text()).toContain('1 selected')
  expect(await violations(page.get('main').element)).toEqual([])
  const button = (name: string) => page.findAll('button').find(found => found.text() === name)!
  await button('Silence').trigger('click')
  await page.get('dialog form').trigger('submit')
  await eventually(() => expect(silenced).toMatchObject({ scope: { names: ['storage-12'] }, rules: ['Disk nearly full'] }))
  await page.get('[data-testid=select-all]').setValue(true)
  await button('Acknowledge').trigger('click')
  await page.get('dialog form').trigger('submit')
  await eventually(() => expect(acknowledged).toBe(''))
})

it('filters what was resolved, as the URL says', async () => {
  const page = await open('/alerts?severity=critical&range=7d&server=3,x&rule=Load')
  await eventually(() => expect(Object.fromEntries(asked)).toMatchObject({ severity: 'critical', start: '-7d', server: '3', rule: 'Load' }))
  await eventually(() => expect(page.find('[data-testid=alert-filter]').exists()).toBe(true))
  await page.get('[data-testid=alert-filter] select').setValue('')
  await eventually(() => expect(asked.has('severity')).toBe(false))
})

it('shows why a notification was given up, and sends it again', async () => {
  const page = await open('/alerts/notifications')
  await eventually(() => expect(page.get('[data-testid=notifications]').findAll('ol > li.flex').length).toBe(2))
  expect(page.text()).toContain('535 authentication failed')
  expect(await violations(page.get('main').element)).toEqual([])
  await page.findAll('button').find(found => found.text() === 'Send again')!.trigger('click')
  await eventually(() => expect(sentAgain).toBe(true))
  await page.findAll('input[type=radio]').at(-1)!.setValue(true)
  await eventually(() => expect(asked.getAll('state')).toEqual(['dead', 'dropped']))
})
