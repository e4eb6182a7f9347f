import { mountSuspended } from '@nuxt/test-utils/runtime'
import { beforeEach, expect, it } from 'vitest'
import { LayoutSidebar } from '#components'
import KubernetesPage from '~/pages/kubernetes.vue'
import type { Server } from '~/api/servers'
import { NOW_MS, podContainer } from '../answers/containers'
import { servers } from '../answers/metrics'
import { eventually, serveApi, simulated, violations } from './helpers'

const node = { ...(servers(NOW_MS) as { servers: Server[] }).servers[0]!, kubernetes: true }
const series = (metric: string, value: number, labels = {}) => ({ metric, labels, value, rate: null, unit: '', kind: 'gauge', type: 'kubernetes' })
const SERIES = [
  series('kubernetes_kubelet_errors_total', 0), series('kubernetes_node_pods', 2), series('kubernetes_node_pods_allocatable', 110),
  series('kubernetes_node_condition', 1, { condition: 'Ready' }), series('kubernetes_node_condition', 1, { condition: 'MemoryPressure' }),
]
const PODS = [
  podContainer('shop', 'web', 'web-1', 'app'), podContainer('shop', 'web', 'web-2', 'app', { state: 'restarting', reason: 'CrashLoopBackOff', health: '', restarts: 7 }),
  podContainer('kube-system', 'dns', 'dns-1', 'app'),
]

function serve(containers: object[], current: object[]): void {
  serveApi((url, method) => {
    if (url.pathname === '/api/servers') return { servers: [node], next: null }
    if (url.pathname === '/api/containers') return { servers: containers.length ? [{ server_id: node.id, time_ms: NOW_MS, containers }] : [] }
    if (url.pathname !== '/api/metrics/current') return simulated(url, method)
    return { time_ms: NOW_MS, servers: [{ server_id: node.id, server_name: node.name, time_ms: NOW_MS, series: current }] }
  })
}

beforeEach(() => useNuxtApp().$i18n.setLocale('en'))

it('shows namespaces, workloads and nodes', async () => {
  serve(PODS, SERIES)
  await useServersStore().refresh()
  const page = await mountSuspended(KubernetesPage, { attachTo: document.body })
  await eventually(() => expect(page.findAll('[data-testid=kubernetes-namespace] h2').map(title => title.text())).toEqual(['kube-system 1', 'shop 1']))
  expect(page.get('[data-testid=kubernetes-nodes] tbody').text()).toContain('Ready, MemoryPressure')
  expect(page.get('[data-testid=kubernetes-nodes] tbody').text()).toContain('2 / 110')
  const web = page.findAll('[data-testid=workload]')[1]!
  expect(web.text()).toContain('1 of 2 ready')
  expect(web.text()).toContain('7 restarts')
  expect(web.text()).toContain('0.50 requested · limit 2')
  expect(page.findAll('[data-testid=pod]')).toHaveLength(0)
  await web.get('button').trigger('click')
  expect(page.findAll('[data-testid=pod]').map(pod => pod.text())).toEqual([expect.stringContaining('Running'), expect.stringContaining('CrashLoopBackOff')])
  expect(await violations(page.element as Element)).toEqual([])
})

it('finds', async () => {
  serve(PODS, SERIES)
  const page = await mountSuspended(KubernetesPage)
  await eventually(() => expect(page.findAll('[data-testid=workload]')).toHaveLength(2))
  await page.get('input[type=search]').setValue('dns')
  expect(page.findAll('[data-testid=workload]')).toHaveLength(1)
  await page.get('input[type=search]').setValue('nothing')
  expect(page.text()).toContain('No container matches.')
})

it('tells how to see something when there is nothing', async () => {
  serve([], [])
  const page = await mountSuspended(KubernetesPage)
  await eventually(() => expect(page.text()).toContain('No node of Kubernetes yet'))
})

it('says so if it cannot be had', async () => {
  serveApi(() => 'unreachable')
  const page = await mountSuspended(KubernetesPage)
  await eventually(() => expect(page.find('[role=alert]').exists()).toBe(true))
})

it('is in the navigation only if there is a node', async () => {
  serve(PODS, SERIES)
  await useServersStore().refresh()
  const sidebar = await mountSuspended(LayoutSidebar)
  expect(sidebar.text()).toContain('Kubernetes')
  useServersStore().apply([{ ...node, kubernetes: false }])
  await eventually(() => expect(sidebar.text()).not.toContain('Kubernetes'))
})
