import { expect, it } from 'vitest'
import type { Container, FleetContainers } from '~/api/containers'
import type { CurrentMetrics } from '~/api/metrics'
import { groupPods, readNodes, worstOf } from '~/utils/kubernetes'
import { NOW_MS, podContainer } from '../answers/containers'

const MIB = 1024 ** 2
const one = (...parameters: Parameters<typeof podContainer>): Container => podContainer(...parameters) as Container
const servers = (...lists: Container[][]): FleetContainers['servers'] =>
  lists.map((containers, index) => ({ server_id: index + 1, time_ms: NOW_MS, containers }))

const WEB = servers(
  [one('shop', 'web', 'web-1', 'app', { restarts: 2 }), one('shop', 'web', 'web-1', 'proxy', { cpu_limit_cores: 0 })],
  [one('shop', 'web', 'web-2', 'app', { health: 'unhealthy' }), one('shop', 'web', 'web-3', 'app', { pod_phase: 'Failed', state: 'exited', reason: 'Evicted', health: '' })],
)

it('adds up the pods of a workload on all servers', () => {
  const [shop, ...others] = groupPods(WEB, '')
  expect([shop!.name, others]).toEqual(['shop', []])
  const [web] = shop!.workloads
  expect(web).toMatchObject({
    name: 'web', kind: 'Deployment', living: 2, ready: 1, restarts: 2, tone: 'critical',
    // Three containers run at 0.1 each; one of them has no limit.
    cpu: { request: 0.75, limit: 0 },
    memory: { used: 300 * MIB, request: 192 * MIB, limit: 384 * MIB },
  })
  expect(web!.cpu.used).toBeCloseTo(0.3)
  expect(web!.pods.map(pod => [pod.name, pod.serverId, pod.isReady, pod.hasEnded, worstOf(pod).reason])).toEqual([
    ['web-1', 1, true, false, ''], ['web-2', 2, false, false, ''], ['web-3', 2, false, true, 'Evicted'],
  ])
})

it('keeps workloads apart that only share a name, with those in trouble first', () => {
  const groups = groupPods(servers([
    one('b', 'x', 'x-1', 'app'), one('a', 'x', 'x-2', 'app'), one('a', 'x', 'x-0', 'app', { workload_kind: 'StatefulSet' }),
    one('a', 'y', 'y-1', 'app', { state: 'created', reason: 'ImagePullBackOff', health: '' }),
    one('a', 'z', 'z-1', 'app', { state: 'created', reason: 'ContainerCreating', health: '' }),
  ]), '')
  expect(groups.map(group => [group.name, group.workloads.map(row => `${row.kind} ${row.name} ${row.tone}`)])).toEqual([
    ['a', ['Deployment y warning', 'Deployment x ok', 'StatefulSet x ok', 'Deployment z unknown']], ['b', ['Deployment x ok']],
  ])
})

it.each([['web shop', 1], ['web-2', 1], ['WEB deployment', 1], ['db', 0]])('finds by %s', (query, count) => {
  expect(groupPods(WEB, query)).toHaveLength(count)
})

it('leaves out what is gone, and what is of no pod', () => {
  expect(groupPods(servers([one('shop', 'web', 'web-1', 'app', { state: 'removing' }), one('', '', '', 'alone')]), '')).toEqual([])
})

const current = (series: [string, number | null, Record<string, string>?][]): CurrentMetrics => ({
  time_ms: NOW_MS, servers: [{ server_id: 1, server_name: 'node-a', time_ms: NOW_MS, series: series.map(([metric, value, labels = {}]) => ({ metric, labels, value })) }],
} as unknown as CurrentMetrics)

it('reads a node', () => {
  expect(readNodes(current([
    ['kubernetes_kubelet_errors_total', 0], ['kubernetes_node_pods', 12], ['kubernetes_node_pods_allocatable', 110], ['kubernetes_node_cpu_request_cores', 1.5],
    ['kubernetes_node_cpu_allocatable_cores', 3.9], ['kubernetes_node_memory_request_bytes', 5], ['kubernetes_node_memory_allocatable_bytes', 9],
    ['cpu_usage_ratio', 0.5], ['cpu_cores', 4], ['memory_total_bytes', 10], ['memory_available_bytes', 4], ['kubernetes_node_unschedulable', 1],
    ['kubernetes_node_condition', 1, { condition: 'Ready' }], ['kubernetes_node_condition', 1, { condition: 'MemoryPressure' }],
    ['kubernetes_node_condition', 0, { condition: 'DiskPressure' }], ['kubernetes_node_condition', null, { condition: 'PIDPressure' }],
  ]))).toEqual([{
    serverId: 1, pods: 12, podsMost: 110, cpu: { used: 2, request: 1.5, limit: 3.9 }, memory: { used: 6, request: 5, limit: 9 },
    isReady: true, isCordoned: true, troubles: ['MemoryPressure'],
  }])
})

it('says of a node no more than its agent may read, and nothing of other servers', () => {
  expect(readNodes(current([['kubernetes_kubelet_errors_total', 3], ['cpu_cores', 4], ['memory_total_bytes', 10]]))).toEqual([{
    serverId: 1, pods: null, podsMost: null, cpu: { used: 0, request: 0, limit: 4 }, memory: { used: 0, request: 0, limit: 10 },
    isReady: null, isCordoned: false, troubles: [],
  }])
  expect(readNodes(current([['cpu_cores', 4]]))).toEqual([])
})
