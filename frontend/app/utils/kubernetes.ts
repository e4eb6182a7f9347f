// Pods by namespace and workload, and nodes, as the page of Kubernetes shows them.
import type { Container, FleetContainers } from '~/api/containers'
import type { CurrentMetrics } from '~/api/metrics'
import { isRunning, toneOfContainer } from './containers'
import { worstTone } from './events'
import type { Tone } from './events'

/** What is used, requested, and allowed at most; a limit of 0: none. */
export interface Use { used: number, request: number, limit: number }

interface Sums { cpu: Use, memory: Use, restarts: number, tone: Tone }

export interface PodRow extends Sums {
  key: string
  name: string
  serverId: number
  containers: readonly Container[]
  isReady: boolean
  hasEnded: boolean
}

export interface WorkloadRow extends Sums {
  key: string
  name: string
  kind: string
  pods: readonly PodRow[]
  /** Of the pods that have not ended. */
  ready: number
  living: number
}

export interface NamespaceRows { name: string, workloads: readonly WorkloadRow[] }

const add = (uses: readonly Use[]): Use => ({
  used: sum(uses.map(use => use.used)),
  request: sum(uses.map(use => use.request)),
  // One that has no limit may use all there is.
  limit: uses.every(use => use.limit > 0) ? sum(uses.map(use => use.limit)) : 0,
})
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function podRow(key: string, serverId: number, containers: readonly Container[]): PodRow {
  const first = containers[0]!
  const hasEnded = ['Succeeded', 'Failed'].includes(first.pod_phase)
  const active = hasEnded ? [] : containers
  const used = (container: Container, value: number): number => (isRunning(container) ? value : 0)
  return {
    key, name: first.pod, serverId, containers, hasEnded,
    isReady: !hasEnded && containers.every(container => isRunning(container) && (container.health === 'healthy' || container.pod_phase === '')),
    cpu: add(active.map(one => ({ used: used(one, one.cpu_ratio), request: one.cpu_request_cores, limit: one.cpu_limit_cores }))),
    memory: add(active.map(one => ({ used: used(one, one.memory_bytes), request: one.memory_request_bytes, limit: one.memory_limit_bytes }))),
    restarts: sum(containers.map(container => container.restarts)),
    tone: worstTone(containers.map(toneOfContainer)),
  }
}

function workloadRow(key: string, pods: readonly PodRow[]): WorkloadRow {
  const first = pods[0]!.containers[0]!
  const living = pods.filter(pod => !pod.hasEnded)
  return {
    key, pods: [...pods].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true })),
    name: first.workload.slice(first.namespace.length + 1), kind: first.workload_kind,
    ready: living.filter(pod => pod.isReady).length, living: living.length,
    cpu: add(living.map(pod => pod.cpu)), memory: add(living.map(pod => pod.memory)), restarts: sum(pods.map(pod => pod.restarts)),
    tone: worstTone(pods.map(pod => pod.tone)),
  }
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const value of values) {
    const key = keyOf(value)
    const group = groups.get(key)
    if (group) group.push(value)
    else groups.set(key, [value])
  }
  return groups
}

const TONES: readonly Tone[] = ['critical', 'warning', 'info', 'ok', 'unknown']

/** All workloads of which each word is a part of the namespace, the name, the kind or a pod; those in trouble come first. */
export function groupPods(servers: FleetContainers['servers'], query: string): NamespaceRows[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const pods = servers.flatMap(({ server_id: serverId, containers }) => {
    const named = containers.filter(container => container.pod !== '' && container.state !== 'removing')
    return [...groupBy(named, container => `${serverId} ${container.namespace}/${container.pod}`)].map(([key, own]) => podRow(key, serverId, own))
  })
  const workloads = [...groupBy(pods, ({ containers: [one] }) => `${one!.workload} ${one!.workload_kind}`)].map(([key, own]) => workloadRow(key, own))
  const matching = workloads.filter(({ key, pods }) => {
    const text = [key, ...pods.map(pod => pod.name)].join('\n').toLowerCase()
    return words.every(word => text.includes(word))
  })
  return [...groupBy(matching, ({ pods }) => pods[0]!.containers[0]!.namespace)]
    .map(([name, own]) => ({ name, workloads: own.sort((a, b) => TONES.indexOf(a.tone) - TONES.indexOf(b.tone) || a.name.localeCompare(b.name)) }))
    .sort((a, b) => a.name.localeCompare(b.name))
}

/** The container of a pod that says most of its state. */
export const worstOf = ({ containers, tone }: PodRow): Container => containers.find(container => toneOfContainer(container) === tone) ?? containers[0]!

/** The series of the nodes. */
export const NODE_METRICS = [
  'kubernetes_node_pods', 'kubernetes_node_pods_allocatable', 'kubernetes_node_cpu_request_cores', 'kubernetes_node_cpu_allocatable_cores',
  'kubernetes_node_memory_request_bytes', 'kubernetes_node_memory_allocatable_bytes', 'kubernetes_node_condition', 'kubernetes_node_unschedulable',
  'cpu_usage_ratio', 'memory_total_bytes', 'memory_available_bytes', 'cpu_cores', 'kubernetes_kubelet_errors_total',
] as const

/** `null`: not known. The limit of CPU and memory is what pods may request, or what the machine has. */
export interface NodeRow {
  serverId: number
  pods: number | null
  podsMost: number | null
  cpu: Use
  memory: Use
  /** `null`: the agent may not read the node. */
  isReady: boolean | null
  isCordoned: boolean
  /** Types of conditions that hold though they should not, such as MemoryPressure. */
  troubles: readonly string[]
}

/** Those of the servers that a kubelet tells of. */
export function readNodes({ servers }: CurrentMetrics): NodeRow[] {
  return servers.filter(({ series }) => series.some(one => one.metric === 'kubernetes_kubelet_errors_total')).map(({ server_id: serverId, series }) => {
    const value = (metric: typeof NODE_METRICS[number]): number | null => series.find(one => one.metric === metric)?.value ?? null
    const conditions = series.filter(one => one.metric === 'kubernetes_node_condition')
    const ready = conditions.find(one => one.labels.condition === 'Ready')
    const total = value('memory_total_bytes')
    const available = value('memory_available_bytes')
    const cores = value('cpu_cores') ?? 0
    return {
      serverId,
      pods: value('kubernetes_node_pods'),
      podsMost: value('kubernetes_node_pods_allocatable'),
      cpu: { used: (value('cpu_usage_ratio') ?? 0) * cores, request: value('kubernetes_node_cpu_request_cores') ?? 0, limit: value('kubernetes_node_cpu_allocatable_cores') ?? cores },
      memory: { used: total !== null && available !== null ? total - available : 0, request: value('kubernetes_node_memory_request_bytes') ?? 0, limit: value('kubernetes_node_memory_allocatable_bytes') ?? total ?? 0 },
      isReady: ready ? ready.value === 1 : null,
      isCordoned: value('kubernetes_node_unschedulable') === 1,
      troubles: conditions.filter(one => one.value === 1 && one.labels.condition !== 'Ready').map(one => one.labels.condition ?? '').sort(),
    }
  })
}
