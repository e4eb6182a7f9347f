import { mountSuspended } from '@nuxt/test-utils/runtime'
import { beforeEach, expect, it } from 'vitest'
import { ContainerEventList, ContainerPanel } from '#components'
import type { ContainerEvent } from '~/api/containers'
import type { Server } from '~/api/servers'
import ContainersPage from '~/pages/containers/index.vue'
import { CONTAINERS, NOW_MS, container } from '../answers/containers'
import { servers } from '../answers/metrics'
import { eventually, serveApi, violations } from './helpers'

const MINUTE_MS = 60_000
const server = (servers(NOW_MS) as { servers: Server[] }).servers[0]!

const names = (table: { findAll: (selector: string) => { text: () => string }[] }) => table.findAll('tbody th a').map(cell => cell.text())
const listAt = (containers: object[]) => (url: URL): object => {
  const at = url.searchParams.get('at')
  const timeMs = at === 'now' ? NOW_MS : Number(at)
  return { server_id: server.id, time_ms: timeMs, before_ms: timeMs - MINUTE_MS, after_ms: at === 'now' ? null : timeMs + MINUTE_MS, containers }
}

beforeEach(() => useNuxtApp().$i18n.setLocale('en'))

it('shows the containers of a server, sorted and filtered', async () => {
  serveApi(listAt(CONTAINERS))
  const panel = await mountSuspended(ContainerPanel, { props: { server, selected: null }, attachTo: document.body })
  await eventually(() => expect(names(panel)).toEqual(['shop-web-1', 'backup', 'old-job', 'shop-db-1']))
  expect(panel.text()).toContain('unhealthy')
  expect(panel.text()).toContain('exit code 137 · out of memory 2 times')
  expect(await violations(panel.element)).toEqual([])
  await panel.findAll('thead button').find(button => button.text() === 'Memory')!.trigger('click')
  expect(names(panel)[0]).toBe('shop-db-1')
  await panel.get('input[value=trouble]').setValue(true)
  expect(names(panel)).toEqual(['shop-db-1', 'backup'])
})

it('shows the first of many, and all if somebody wants', async () => {
  serveApi(listAt(Array.from({ length: 25 }, (_, index) => container(`job-${index}`, { cpu_ratio: index / 100 }))))
  const panel = await mountSuspended(ContainerPanel, { props: { server, selected: null } })
  await eventually(() => expect(names(panel)).toHaveLength(10))
  expect(names(panel)[0]).toBe('job-24')
  await panel.findAll('button').find(button => button.text() === 'Show 15 more')!.trigger('click')
  expect(names(panel)).toHaveLength(25)
  await panel.get('input[type=search]').setValue('job-7')
  expect(names(panel)).toEqual(['job-7'])
  await panel.get('input[type=search]').setValue('nothing')
  expect(panel.text()).toContain('No container matches.')
})

it('goes back in time', async () => {
  serveApi(listAt(CONTAINERS))
  const panel = await mountSuspended(ContainerPanel, { props: { server, selected: null } })
  await eventually(() => expect(panel.text()).toContain('The last minute'))
  await panel.get('[aria-label="A minute earlier"]').trigger('click')
  await eventually(() => expect(panel.text()).toContain('Back to now'))
  expect(panel.text()).not.toContain('The last minute')
})

it('says so if there are none, and if they cannot be had', async () => {
  serveApi(listAt([]))
  const panel = await mountSuspended(ContainerPanel, { props: { server, selected: null } })
  await eventually(() => expect(panel.text()).toContain('No container runs here.'))
})

it('lists the containers of all servers', async () => {
  serveApi(url => (url.pathname === '/api/containers' ? { servers: [{ server_id: server.id, time_ms: NOW_MS, containers: CONTAINERS }] } : { servers: [server], next: null }))
  await useServersStore().refresh()
  const page = await mountSuspended(ContainersPage, { attachTo: document.body })
  await eventually(() => expect(names(page)).toEqual(['backup', 'shop-db-1', 'shop-web-1', 'old-job']))
  expect(page.text()).toContain(server.name)
  expect(await violations(page.element as Element)).toEqual([])
})

it('tells how to see containers when there are none at all', async () => {
  serveApi(() => ({ servers: [] }))
  const page = await mountSuspended(ContainersPage)
  await eventually(() => expect(page.text()).toContain('No containers yet'))
})

it('tells what happened', async () => {
  const event = (type: string, exit_code = 0): ContainerEvent => ({ time_ms: NOW_MS, type, container_id: '0123456789ab', name: 'web', workload: '', exit_code })
  const list = await mountSuspended(ContainerEventList, { props: { events: [event('oom_killed'), event('exited', 3), event('teleported')], more: true, dropped: 7 }, attachTo: document.body })
  const texts = list.findAll('li').map(item => item.text())
  expect(texts[0]).toContain('A process was killed for want of memory')
  expect(texts[1]).toContain('Exited with code 3')
  expect(texts[2]).toContain('teleported')
  expect(list.text()).toContain('The newest 3 events of a week.')
  expect(list.text()).toContain('Some left out: 7')
  expect(await violations(list.element)).toEqual([])
})
