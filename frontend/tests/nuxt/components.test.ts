import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, describe, expect, it } from 'vitest'
import { defineComponent, h, nextTick, ref } from 'vue'
import { current, servers } from '../answers/metrics'
import type { CurrentMetrics, LiveSeries } from '~/api/metrics'
import type { ServerPage } from '~/api/servers'
import { LayoutConnectionNotice, LayoutConnectionState, LayoutLanguageSwitch, MetricCpuCard, MetricDiskCard, ServerEmpty, ServerFilesystemTable, HistoryLegend, HistoryTable, HistoryTooltip, ServerInterfaceTable, MetricLevelBadge, MetricMemoryCard, MetricNetworkCard, LayoutPalette, RulePreview, ServerHeader, ServerNotices, ServerServiceTable, ServerSkeleton, ServerStateBadge, MetricTrend, UIcon, UiSegmented } from '#components'
import { buildModel } from '~/utils/chart/model'
import { findingsOf } from '~/utils/findings'
import { makeSnapshot, readSnapshot } from '~/utils/readings'
import { VIEWS } from '~/utils/views'
import { eventually, serveApi, simulated, violations } from './helpers'

const NOW = Date.now()
const list = (servers(NOW) as ServerPage).servers
const server = (id: number) => list.find(item => item.id === id)!

function readings(id: number) {
  const frame = (current(new URLSearchParams({ server: String(id) }), NOW) as CurrentMetrics).servers[0]!
  return readSnapshot(makeSnapshot(frame.time_ms, frame.series))
}

const spark = { times: [0, 10, 20], values: [0.1, 0.5, 0.2], startMs: 0, endMs: 20, gapMs: 30 }
const text = (value: string) => value.replace(/\s+/g, ' ')

describe('icons', () => {
  // What mounts components cannot mount a function.
  const Icon = defineComponent({ props: { name: { type: String, required: true } }, setup: ({ name }) => () => h(UIcon, { name }) })

  it('are drawn from the bundle, in the size of the text, and hidden from screen readers', async () => {
    const icon = (await mountSuspended(Icon, { props: { name: 'i-lucide-bell-ring' }, attrs: { class: 'size-4' } })).get('svg')
    expect(icon.attributes()).toMatchObject({ 'class': 'size-4', 'width': '1em', 'viewBox': '0 0 24 24', 'aria-hidden': 'true' })
    expect(icon.findAll('path').length).toBeGreaterThan(0)
  })
  it('change', async () => {
    const name = ref('i-lucide-sun')
    const wrapper = await mountSuspended(defineComponent({ setup: () => () => h('p', h(UIcon, { name: name.value })) }))
    const sun = wrapper.get('svg').html()
    name.value = 'i-lucide-moon'
    await nextTick()
    expect(wrapper.findAll('svg')).toHaveLength(1)
    expect(wrapper.get('svg').html()).not.toBe(sun)
    name.value = 'i-lucide-sun'
    await nextTick()
    expect(wrapper.get('svg').html()).toBe(sun)
  })
  it('keep their place when the bundle lacks them', async () => {
    const icon = (await mountSuspended(Icon, { props: { name: 'i-lucide-no-such-icon' } })).get('svg')
    expect(icon.attributes('width')).toBe('1em')
    expect(icon.element.children).toHaveLength(0)
  })
})

describe('cards', () => {
  it('show the headline, the load and every core', async () => {
    const { cpu } = readings(7)
    const card = await mountSuspended(MetricCpuCard, { props: { reading: cpu, spark, active: true } })
    expect(card.get('[data-testid=cpu-value]').text()).toMatch(/^\d+(\.\d)?%$/)
    expect(card.findAll('.core')).toHaveLength(64)
    expect(await violations(card.element)).toEqual([])
  })
  it('show a level badge when something is wrong', async () => {
    const { disk, memory, network } = readings(2)
    const card = await mountSuspended(MetricDiskCard, { props: { reading: disk, spark, active: false } })
    expect(card.text()).toContain('/var/lib/postgresql')
    expect(card.getComponent(MetricLevelBadge).props('level')).toBe('critical')
    const swapless = await mountSuspended(MetricMemoryCard, { props: { reading: memory, spark, active: false } })
    expect(swapless.text()).toMatch(/없음|None/)
    const quiet = await mountSuspended(MetricNetworkCard, { props: { reading: network, spark, active: false } })
    expect(quiet.findComponent(MetricLevelBadge).exists()).toBe(false)
    for (const wrapper of [card, swapless, quiet]) expect(await violations(wrapper.element)).toEqual([])
  })
  it('select their metric family', async () => {
    const card = await mountSuspended(MetricCpuCard, { props: { reading: readings(1).cpu, spark, active: false } })
    await card.get('button').trigger('click')
    expect(card.emitted('select')).toHaveLength(1)
  })
  it('show the trend as an arrow, a word and a number', async () => {
    const trend = await mountSuspended(MetricTrend, { props: { trend: { direction: 'up', delta: 0.032 }, unit: 'ratio' } })
    expect(trend.text()).toMatch(/3\.2/)
    expect(trend.find('svg').exists()).toBe(true)
  })
})

describe('tables', () => {
  it('list the fullest filesystem first', async () => {
    const table = await mountSuspended(ServerFilesystemTable, { props: { filesystems: readings(3).disk.filesystems } })
    expect(table.findAll('tbody tr')).toHaveLength(8)
    await table.get('button').trigger('click')
    expect(table.findAll('tbody tr')).toHaveLength(12)
    expect(table.get('tbody tr').text()).toContain('/srv/media')
    expect(await violations(table.element)).toEqual([])
  })
  it('list interfaces with their link state', async () => {
    const table = await mountSuspended(ServerInterfaceTable, { props: { interfaces: readings(3).network.interfaces } })
    expect(table.text()).toMatch(/연결 안 됨|No link/)
    expect(await violations(table.element)).toEqual([])
  })
  it('list services, and the others if there are some', async () => {
    await useNuxtApp().$i18n.setLocale('en')
    const series = (metric: string, service: string, value: number) => ({ metric, labels: service ? { service } : {}, value, rate: null }) as unknown as LiveSeries
    const used = (service: string, cpu: number) => [series('service_cpu_usage_ratio', service, cpu), series('service_memory_working_set_bytes', service, 1024 ** 2)]
    const snapshot = (others: number) => makeSnapshot(1, [series('services_in_others', '', others), ...used('(others)', 0.1), ...used('nginx', 0.5)])
    const table = await mountSuspended(ServerServiceTable, { props: { snapshot: snapshot(12) } })
    expect(table.findAll('tbody th').map(cell => text(cell.text()))).toEqual(['nginx', '12 other services'])
    expect(text(table.text())).toContain('50.0%')
    expect(await violations(table.element)).toEqual([])
    await table.setProps({ snapshot: snapshot(0) })
    expect(table.findAll('tbody th').map(cell => text(cell.text()))).toEqual(['nginx'])
  })
})

describe('the server', () => {
  it('has a list of facts', async () => {
    const header = await mountSuspended(ServerHeader, { props: { server: server(1), snapshotMs: null } })
    expect(text(header.text())).toContain('Debian 12')
    expect(header.getComponent(ServerStateBadge).props('state')).toBe('up')
    expect(await violations(header.element)).toEqual([])
  })
  it('leaves out facts that the agent does not report', async () => {
    const bare = { ...server(1), tags: {}, agent_version: '', host: { ...server(1).host, hostname: '', os: '', kernel: '', cpu_model: '', boot_time_ms: 0 } }
    const header = await mountSuspended(ServerHeader, { props: { server: bare, snapshotMs: null } })
    expect(header.findAll('li')).toHaveLength(2)
  })
  it('tells of a wrong clock, of the agent and its tags', async () => {
    await useNuxtApp().$i18n.setLocale('en')
    const odd = { ...server(1), tags: { role: 'web' }, agent_version: '0.9.0', clock: 'behind' as const, clock_offset_ms: -90_000 }
    const header = await mountSuspended(ServerHeader, { props: { server: odd, snapshotMs: null } })
    for (const fact of ['Agent 0.9.0', 'Clock 1m 30s behind', 'role=web']) expect(text(header.text())).toContain(fact)
  })
  it('says how long it has been down, without findings about its old values', async () => {
    const notices = await mountSuspended(ServerNotices, { props: { server: server(6), findings: findingsOf(readings(3)) } })
    expect(notices.text()).toMatch(/3시간 12분|3h 12m/)
    expect(notices.text()).not.toContain('/srv/media')
    expect(await violations(notices.element)).toEqual([])
  })
})

describe('the palette', () => {
  async function openPalette() {
    useServersStore().apply(list)
    serveApi(simulated)
    const palette = await mountSuspended(LayoutPalette, { props: { serverId: 1 }, attachTo: document.body })
    await nextTick()
    return palette
  }

  it('finds a server with the keyboard', async () => {
    const palette = await openPalette()
    expect(palette.findAll('[role=option]').length).toBeGreaterThan(7)
    expect(palette.get('[aria-selected=true]').text()).toContain(list.find(server => server.id === 1)!.name)
    expect(await violations(palette.element)).toEqual([])
    const input = palette.get('input')
    await input.setValue('결제')
    expect(palette.findAll('[role=option]')).toHaveLength(1)
    await input.trigger('keydown', { key: 'Enter' })
    await eventually(() => expect(useRoute().path).toBe('/servers/4'))
    palette.unmount()
  })

  it('finds metrics', async () => {
    const palette = await openPalette()
    await palette.get('input').setValue('filesystem_usage')
    await eventually(() => expect(palette.findAll('[role=option]')).toHaveLength(1))
    await palette.get('[role=option]').trigger('click')
    await eventually(() => expect(useRoute().fullPath).toBe('/metrics?metric=filesystem_usage_ratio'))
    palette.unmount()
  })

  it('moves with the arrow keys, round the ends', async () => {
    const palette = await openPalette()
    const active = () => palette.get('input').attributes('aria-activedescendant')
    const input = palette.get('input')
    await input.setValue('e')
    await eventually(() => expect(palette.text()).toContain('filesystem_usage_ratio'))
    const first = active()
    await input.trigger('keydown', { key: 'ArrowUp' })
    expect(active()).not.toBe(first)
    await input.trigger('keydown', { key: 'ArrowDown' })
    expect(active()).toBe(first)
    palette.unmount()
  })

  it('says when nothing matches', async () => {
    const palette = await openPalette()
    await palette.get('input').setValue('no such thing')
    expect(palette.get('[role=status]').text()).not.toBe('')
    palette.unmount()
  })
})

describe('the languages', () => {
  afterEach(() => useNuxtApp().$i18n.setLocale('en'))

  it('are listed by their own names, with a note where nobody has read the texts yet', async () => {
    await useNuxtApp().$i18n.setLocale('en')
    const menu = await mountSuspended(LayoutLanguageSwitch)
    await menu.get('[data-testid=language-switch]').trigger('click')
    await eventually(() => expect(menu.findAll('nav button')).toHaveLength(8))
    expect(menu.findAll('nav [lang]').map(name => `${name.attributes('lang')} ${name.text()}`)).toEqual([
      'en English', 'ko 한국어', 'de Deutsch', 'es Español', 'fr Français', 'pt-BR Português (Brasil)', 'ja 日本語', 'zh-CN 简体中文',
    ])
    expect(menu.get('nav [aria-current=true]').text()).toBe('English')
    expect(menu.text().match(/machine translation/g)).toHaveLength(6)
    expect(await violations(menu.element)).toEqual([])
  })

  it('are loaded when they are chosen, with the plural forms of the language', async () => {
    const menu = await mountSuspended(LayoutLanguageSwitch)
    await menu.get('[data-testid=language-switch]').trigger('click')
    await eventually(() => expect(menu.findAll('nav button')).toHaveLength(8))
    await menu.get('nav [lang=fr]').trigger('click')
    const { $i18n } = useNuxtApp()
    await eventually(() => expect($i18n.locale.value).toBe('fr'))
    expect(menu.find('nav').exists()).toBe(false)
    expect([0, 1, 2].map(count => $i18n.t('explorer.someServers', { count }, count))).toEqual(['0 serveur', '1 serveur', '2 serveurs'])
    await $i18n.setLocale('es')
    expect([0, 1, 2].map(count => $i18n.t('explorer.someServers', { count }, count))).toEqual(['0 servidores', '1 servidor', '2 servidores'])
    await $i18n.setLocale('ja')
    expect([0, 1, 2].map(count => $i18n.t('explorer.someServers', { count }, count))).toEqual(['サーバー 0 台', 'サーバー 1 台', 'サーバー 2 台'])
  })
})

describe('the history', () => {
  const times = Array.from({ length: 100 }, (_, i) => NOW - (100 - i) * 10_000)
  const item = { key: 'cpu_usage_ratio', metric: 'cpu_usage_ratio', labels: {}, times, values: times.map((_, i) => i / 100), min: null, max: null, newestMs: NOW }
  const model = buildModel({ startMs: times[0]!, endMs: times.at(-1)!, stepMs: null, series: [item] }, {
    view: VIEWS.cpu[0], cores: 1, intervalMs: 10_000, rangeMs: 1_000_000, firstSeenMs: 0, theme: 'dark', nameOf: () => 'Total',
  })
  it('shows its values in a table', async () => {
    const table = await mountSuspended(HistoryTable, { props: { model, hidden: new Set<string>() } })
    expect(table.findAll('tbody tr')).toHaveLength(3 + 40)
    expect(table.get('tbody tr').text()).toContain('99.0%')
    expect(await violations(table.element)).toEqual([])
  })
  it('hides a line when its legend entry is clicked', async () => {
    const legend = await mountSuspended(HistoryLegend, { props: { model, hidden: new Set<string>() } })
    await legend.get('button').trigger('click')
    expect([...(legend.emitted('update:hidden')![0] as [Set<string>])[0]]).toEqual(['cpu_usage_ratio'])
    expect(await violations(legend.element)).toEqual([])
  })
  it('shows the value at the crosshair', async () => {
    const tooltip = await mountSuspended(HistoryTooltip, { props: { model, hidden: new Set<string>(), index: 50, left: 10, width: 500 } })
    expect(tooltip.text()).toContain('50.0%')
  })
})

describe('the preview of a rule', () => {
  const rule = { name: 'Busy', condition: { type: 'threshold' as const, metric: 'cpu_usage_ratio', value: 0.9 } }
  const firing = (server: string, firedMs: number, resolvedMs: number | null) =>
    ({ server_id: 1, server_name: server, series: 'cpu_usage_ratio', since_ms: firedMs, fired_ms: firedMs, resolved_ms: resolvedMs, value: 0.95 })

  it('shows where the rule would have fired', async () => {
    const asked: unknown[] = []
    const thinned = { code: 'preview_thinned', parameters: { step_seconds: 90 }, text: 'For a range this long, the preview uses one sample every 1m 30s, not all.' }
    serveApi((url, method, body) => {
      if (url.pathname !== '/api/alerts/rules/preview') return simulated(url, method)
      asked.push(body)
      return { start_ms: 0, end_ms: 1_000, step_ms: 10, series: 7, count: 12, warnings: [thinned.text], notes: [thinned], firings: [firing('web-1', 100, 350), firing('db-1', 900, null)] }
    })
    const preview = await mountSuspended(RulePreview, { props: { rule } })
    await eventually(() => expect(preview.text()).toContain('12'))
    for (const part of ['7', 'web-1', 'db-1']) expect(preview.text()).toContain(part)
    expect(preview.text()).toMatch(/one sample every 1m\s30s|1분\s30초마다 하나의 표본만/)
    expect(preview.findAll('.bar').map(bar => bar.attributes('style'))).toEqual(['left: 10%; width: 25%;', 'left: 90%; width: 10%;'])
    expect(asked).toEqual([{ rule: { ...rule, enabled: true }, start: '-24h' }])
    expect(await violations(preview.element)).toEqual([])
  })

  it('waits for a rule, and tells what is wrong with it', async () => {
    serveApi(() => 'unreachable')
    const preview = await mountSuspended(RulePreview, { props: { rule: null } })
    expect(preview.text()).toMatch(/Choose a metric|지표와 기준값/)
    await preview.setProps({ rule })
    await eventually(() => expect(preview.find('[role=alert]').exists()).toBe(true))
  })
})

describe('states', () => {
  it('explain what to do if there is no server', async () => {
    const empty = await mountSuspended(ServerEmpty)
    expect(empty.text()).toContain('bongsu agent run')
    expect(await violations(empty.element)).toEqual([])
  })
  it('say that the API server is unreachable and when the next attempt follows', async () => {
    const metrics = useMetricsStore()
    metrics.markSuccess('polling')
    metrics.markFailure(new Error('x'), 3, 4_000)
    const notice = await mountSuspended(LayoutConnectionNotice)
    expect(notice.get('[role=alert]').text()).toMatch(/\d초 뒤|in \ds/)
    await notice.get('button').trigger('click')
    expect(notice.emitted('retry')).toHaveLength(1)
    expect(await violations(notice.element)).toEqual([])
    const state = await mountSuspended(LayoutConnectionState)
    expect(state.text()).toMatch(/연결 끊김|Offline/)
    metrics.markSuccess('polling')
    await nextTick()
    expect(state.text()).toMatch(/실시간|Live/)
  })
  it('announce loading', async () => {
    const skeleton = await mountSuspended(ServerSkeleton)
    expect(skeleton.attributes('aria-busy')).toBe('true')
    expect(await violations(skeleton.element)).toEqual([])
  })
})

it('a segmented control is a group of radio buttons', async () => {
  const control = await mountSuspended(UiSegmented, { props: { modelValue: 'a', label: 'Range', options: [{ value: 'a', label: 'A' }, { value: 'b', label: 'B' }] } })
  await control.get('input[value=b]').setValue()
  expect(control.emitted('update:modelValue')).toEqual([['b']])
  expect(await violations(control.element)).toEqual([])
})
