import { mountSuspended } from '@nuxt/test-utils/runtime'
import { beforeEach, expect, it } from 'vitest'
import { ServerProcessTable } from '#components'
import type { Server } from '~/api/servers'
import { servers } from '../answers/metrics'
import { eventually, serveApi, violations } from './helpers'

const MINUTE_MS = 60_000
const NEWEST_MS = 1_790_000_040_000
const MIB = 1024 ** 2
const server = (servers(NEWEST_MS) as { servers: Server[] }).servers[0]!

/** A list each minute: `backup` makes a spike ten minutes ago. */
function listAt(url: URL): object {
  const at = url.searchParams.get('at')
  const timeMs = at === 'now' ? NEWEST_MS : Math.floor(Number(at) / MINUTE_MS) * MINUTE_MS
  const spike = timeMs === NEWEST_MS - 10 * MINUTE_MS
  const process = (pid: number, name: string, cpu_ratio: number, mib: number) =>
    ({ pid, name, user: 'root', cpu_ratio, memory_bytes: mib * MIB, threads: 2, started_ms: NEWEST_MS - 3_600_000 })
  const others = Array.from({ length: 9 }, (_, index) => process(100 + index, `idle-${index}`, 0.001, 1))
  return {
    server_id: server.id,
    time_ms: timeMs,
    before_ms: timeMs - MINUTE_MS,
    after_ms: timeMs < NEWEST_MS ? timeMs + MINUTE_MS : null,
    processes: [process(1, 'postgres', 0.4, 900), process(2, 'backup', spike ? 1.9 : 0.01, 30), ...others],
  }
}

const names = (table: { findAll: (selector: string) => { text: () => string }[] }) => table.findAll('tbody th span:first-child').map(cell => cell.text())

beforeEach(() => useNuxtApp().$i18n.setLocale('en'))

it('shows what used most, sorted by CPU or memory', async () => {
  serveApi(listAt)
  const table = await mountSuspended(ServerProcessTable, { props: { server, selected: null }, attachTo: document.body })
  await eventually(() => expect(names(table).slice(0, 2)).toEqual(['postgres', 'backup']))
  expect(names(table)).toHaveLength(8)
  expect(table.text()).toContain('40.0')
  expect(await violations(table.element)).toEqual([])
  await table.get('input[value=memory]').setValue(true)
  expect(names(table)[0]).toBe('postgres')
  await table.findAll('button').find(button => button.text() === 'Show 3 more')!.trigger('click')
  expect(names(table)).toHaveLength(11)
})

it('tells what made a spike that was selected, step by step, and goes back', async () => {
  serveApi(listAt)
  const table = await mountSuspended(ServerProcessTable, { props: { server, selected: null }, attachTo: document.body })
  await eventually(() => expect(names(table)[0]).toBe('postgres'))
  const endMs = NEWEST_MS - 9 * MINUTE_MS - 1_000
  await table.setProps({ selected: [endMs - 3 * MINUTE_MS, endMs] })
  await eventually(() => expect(names(table)[0]).toBe('backup'))
  expect(table.text()).toContain('190')
  await table.get('[aria-label="A minute later"]').trigger('click')
  await eventually(() => expect(names(table)[0]).toBe('postgres'))
  await table.get('[aria-label="A minute earlier"]').trigger('click')
  await eventually(() => expect(names(table)[0]).toBe('backup'))
  await table.findAll('button').find(button => button.text() === 'Back to now')!.trigger('click')
  await eventually(() => expect(table.text()).toContain('The last minute'))
  expect(names(table)[0]).toBe('postgres')
})

it('says that there are none, and that they cannot be read', async () => {
  serveApi(() => ({ server_id: server.id, time_ms: null, before_ms: null, after_ms: null, processes: [] }))
  const empty = await mountSuspended(ServerProcessTable, { props: { server, selected: null } })
  await eventually(() => expect(empty.text()).toContain('No process list has arrived yet.'))
  let works = false
  serveApi(url => (works ? listAt(url) : 'unreachable'))
  const broken = await mountSuspended(ServerProcessTable, { props: { server, selected: null } })
  await eventually(() => expect(broken.find('[role=alert]').exists()).toBe(true))
  works = true
  await broken.get('[role=alert] button').trigger('click')
  await eventually(() => expect(names(broken)[0]).toBe('postgres'))
})
