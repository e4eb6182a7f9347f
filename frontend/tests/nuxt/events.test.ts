import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { events as answeredEvents } from '../answers/events'
import { EventList, HistoryEvents } from '#components'
import type { EventPage, ServerEvent } from '~/api/events'
import type { PlotArea } from '~/utils/chart/markers'
import { eventually, serveApi, violations } from './helpers'

const of = (serverId: number) => (answeredEvents(new URLSearchParams({ server: String(serverId), limit: '1000' })) as EventPage).events
const store = () => useEventsStore()

beforeEach(() => useNuxtApp().$i18n.setLocale('en'))
afterEach(() => store().close())

describe('the list of what happened', () => {
  it('shows the newest, and older ones on request', async () => {
    serveApi(url => answeredEvents(url.searchParams))
    const list = await mountSuspended(EventList, { attachTo: document.body })
    expect(list.find('[role=status]').exists()).toBe(true)
    expect(await violations(list.element)).toEqual([])
    await store().open(2)
    await eventually(() => expect(list.findAll('li')).toHaveLength(6))
    expect(list.text()).toContain('minji.kim@example.com acknowledged: Disk almost full')
    expect(list.text()).toContain('Alert (critical): Disk almost full')
    expect(list.text()).toContain('mountpoint="/var/lib/postgresql"')
    expect(list.get('li a').attributes('href')).toBe('/alerts/7')
    for (let rows = 26; rows <= 126; rows += 20) {
      await list.get('button').trigger('click')
      await eventually(() => expect(list.findAll('li')).toHaveLength(Math.min(rows, 125)))
    }
    expect(list.text()).toContain('Added to Bongsu')
    expect(list.find('button').exists()).toBe(false)
    expect(await violations(list.element)).toEqual([])
  })

  it('says that nothing has happened', async () => {
    serveApi(() => ({ events: [], next: null }))
    await store().open(1)
    const list = await mountSuspended(EventList)
    expect(list.text()).toContain('Nothing has happened yet.')
    expect(list.find('ol').exists()).toBe(false)
  })

  it('says that it could not be fetched, and tries again', async () => {
    serveApi(() => 'unreachable')
    await store().open(1)
    const list = await mountSuspended(EventList, { attachTo: document.body })
    expect(list.get('[role=alert]').text()).toContain('Failed to load what happened.')
    expect(await violations(list.element)).toEqual([])
    serveApi(url => answeredEvents(url.searchParams))
    await list.get('button').trigger('click')
    await eventually(() => expect(list.find('[role=alert]').exists()).toBe(false))
    expect(list.text()).toContain('Clock jumped back by 1h 2m')
  })

  it('speaks Korean', async () => {
    await useNuxtApp().$i18n.setLocale('ko')
    serveApi(url => answeredEvents(url.searchParams))
    await store().open(1)
    const list = await mountSuspended(EventList)
    expect(list.text()).toContain('서버 응답이 끊겼습니다')
    expect(list.text()).toContain('시계가 1시간 2분 뒤로 돌아갔습니다')
  })

  it('shows the name of a type that it does not know', async () => {
    const unknown = { ...of(1)[0]!, type: 'brand_new' as ServerEvent['type'] }
    serveApi(() => ({ events: [unknown], next: null }))
    await store().open(1)
    const list = await mountSuspended(EventList)
    expect(list.text()).toContain('brand_new')
  })
})

describe('the markers of a chart', () => {
  const listed = of(1)
  const down = listed.find(event => event.type === 'server_down')!
  const area: PlotArea = { left: 40, top: 12, width: 600, height: 200, fromMs: down.time_ms - 600_000, toMs: down.time_ms + 1_200_000 }
  const mount = () => mountSuspended(HistoryEvents, { props: { events: listed, area }, attachTo: document.body })

  it('are named, one behind the other, and shade the time in which the server was down', async () => {
    const markers = await mount()
    const labels = markers.findAll('button').map(button => button.attributes('aria-label')!)
    expect(labels).toHaveLength(3)
    expect(labels[0]).toMatch(/^.*2\d{3}.*: Went down$/)
    expect(labels[1]).toMatch(/Came back up; .*: Rebooted at /)
    expect(labels[2]).toContain('Clock jumped back')
    expect(markers.get('[data-testid=event-markers]').attributes('aria-label')).toBe('What happened in this range: 4 events')
    expect(markers.findAll('.down')).toHaveLength(1)
    expect(markers.get('.count').text()).toBe('2')
    expect(await violations(markers.element)).toEqual([])
    markers.unmount()
  })

  it('tell more under the pointer', async () => {
    const markers = await mount()
    expect(markers.find('[data-testid=event-tooltip]').exists()).toBe(false)
    await markers.findAll('button')[1]!.trigger('pointerenter')
    expect(markers.get('[data-testid=event-tooltip]').findAll('li')).toHaveLength(2)
    await markers.findAll('button')[1]!.trigger('pointerleave')
    expect(markers.find('[data-testid=event-tooltip]').exists()).toBe(false)
    markers.unmount()
  })

  it('are one stop of the Tab key, and the arrow keys go on from there', async () => {
    const markers = await mount()
    const buttons = markers.findAll('button')
    expect(buttons.map(button => button.attributes('tabindex'))).toEqual(['0', '-1', '-1'])
    buttons[0]!.element.focus()
    await nextTick()
    expect(markers.get('[data-testid=event-tooltip]').text()).toContain('Went down')
    await buttons[0]!.trigger('keydown', { key: 'ArrowRight' })
    expect(document.activeElement).toBe(buttons[1]!.element)
    expect(markers.get('[data-testid=event-tooltip]').text()).toContain('Came back up')
    await buttons[1]!.trigger('keydown', { key: 'End' })
    expect(document.activeElement).toBe(buttons[2]!.element)
    expect(buttons.map(button => button.attributes('tabindex'))).toEqual(['-1', '-1', '0'])
    await buttons[2]!.trigger('keydown', { key: 'Escape' })
    expect(markers.find('[data-testid=event-tooltip]').exists()).toBe(false)
    markers.unmount()
  })
})
