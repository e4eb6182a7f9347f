// What the tables of containers show, and in which order.
import type { Container, ContainerEvent } from '~/api/containers'
import type { Tone } from './events'
import type { Snapshot } from './readings'

/** A row. `serverId`, `serverName`: where it runs. */
export interface ContainerRow {
  key: string
  serverId: number
  serverName: string
  container: Container
}

export const CONTAINER_COLUMNS = ['name', 'server', 'state', 'cpu', 'memory', 'since'] as const
export type ContainerColumn = typeof CONTAINER_COLUMNS[number]
export interface ContainerSort { column: ContainerColumn, descending: boolean }

export const CONTAINER_FILTERS = ['all', 'running', 'stopped', 'trouble'] as const
export type ContainerFilter = typeof CONTAINER_FILTERS[number]

export const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const
const RUNNING = new Set(['running', 'paused', 'restarting'])

/** The state as a key of the texts. Only its control group may be known: then it runs. */
export const stateKey = ({ state }: Container): string => (state === '' ? 'running' : STATES.find(known => known === state) ?? 'unknown')

/** SIGTERM and SIGKILL are how one stops a container (128 + the signal). */
const wasAsked = (code: number): boolean => [0, 137, 143].includes(code)

/** Reasons of Kubernetes for which a container waits that runs soon. */
const STARTING = ['', 'ContainerCreating', 'PodInitializing']

export const isRunning = (container: Container): boolean => container.state === '' || RUNNING.has(container.state)

export function toneOfContainer({ state, health, exit_code: code, oom_kills: kills, reason }: Container): Tone {
  if (reason === 'Evicted') return 'warning'
  switch (state) {
    case '':
    case 'running': return health === 'unhealthy' ? 'critical' : 'ok'
    case 'restarting': return 'warning'
    case 'created': return STARTING.includes(reason) ? 'unknown' : 'warning'
    case 'dead': return 'critical'
    case 'exited': return wasAsked(code) && !(code === 137 && kills > 0) ? 'unknown' : 'critical'
    default: return 'unknown'
  }
}

export function toneOfContainerEvent({ type, exit_code: code }: ContainerEvent): Tone {
  switch (type) {
    case 'oom_killed':
    case 'unhealthy': return 'critical'
    case 'evicted':
    case 'restarted': return 'warning'
    case 'exited': return wasAsked(code) ? 'unknown' : 'critical'
    case 'started':
    case 'healthy': return 'ok'
    default: return 'unknown'
  }
}

const inTrouble = (container: Container): boolean => ['critical', 'warning'].includes(toneOfContainer(container))

function passes(container: Container, filter: ContainerFilter): boolean {
  switch (filter) {
    case 'running': return isRunning(container)
    case 'stopped': return !isRunning(container)
    case 'trouble': return inTrouble(container)
    default: return true
  }
}

/** The rows that a person wants to see. Each word must be part of the name, image, workload or server. */
export function filterContainers(rows: readonly ContainerRow[], filter: ContainerFilter, query: string): ContainerRow[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter(({ container, serverName }) => {
    const text = [container.name, container.image, container.workload, serverName, container.id].join('\n').toLowerCase()
    return passes(container, filter) && words.every(word => text.includes(word))
  })
}

export function countContainers(rows: readonly ContainerRow[]): Record<ContainerFilter, number> {
  const count = (filter: ContainerFilter): number => rows.filter(row => passes(row.container, filter)).length
  return { all: rows.length, running: count('running'), stopped: count('stopped'), trouble: count('trouble') }
}

/** When it came into its present state. */
export const sinceMs = (container: Container): number => (isRunning(container) ? container.started_ms : container.finished_ms) || container.created_ms

const TONES: readonly Tone[] = ['critical', 'warning', 'info', 'ok', 'unknown']
const COMPARE: Record<ContainerColumn, (a: ContainerRow, b: ContainerRow) => number> = {
  name: (a, b) => a.container.name.localeCompare(b.container.name, undefined, { numeric: true }),
  server: (a, b) => a.serverName.localeCompare(b.serverName, undefined, { numeric: true }),
  state: (a, b) => TONES.indexOf(toneOfContainer(b.container)) - TONES.indexOf(toneOfContainer(a.container)),
  cpu: (a, b) => a.container.cpu_ratio - b.container.cpu_ratio,
  memory: (a, b) => a.container.memory_bytes - b.container.memory_bytes,
  since: (a, b) => sinceMs(a.container) - sinceMs(b.container),
}

/** The rows in order; those that are equal by name. */
export function sortContainers(rows: readonly ContainerRow[], { column, descending }: ContainerSort): ContainerRow[] {
  const direction = descending ? -1 : 1
  return [...rows].sort((a, b) => direction * COMPARE[column](a, b) || COMPARE.name(a, b) || COMPARE.server(a, b))
}

/** The container with its values of this moment, where they come as series. */
export function withLiveValues(container: Container, snapshot: Snapshot | null): Container {
  const value = (metric: string): number | null | undefined =>
    snapshot?.byMetric.get(metric)?.find(series => series.labels.container === container.name)?.value
  return {
    ...container,
    cpu_ratio: value('container_cpu_usage_ratio') ?? container.cpu_ratio,
    memory_bytes: value('container_memory_working_set_bytes') ?? container.memory_bytes,
  }
}

/** A command for a shell; odd names are quoted. */
export function logsCommand({ runtime, name }: Container): string {
  const program = runtime === 'podman' ? 'podman' : 'docker'
  return `${program} logs --tail 100 ${/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll('\'', '\'\\\'\'')}'`}`
}
