import { expect, it } from 'vitest'
import type { Container } from '~/api/containers'
import { countContainers, filterContainers, logsCommand, sinceMs, sortContainers, stateKey, toneOfContainer, toneOfContainerEvent, withLiveValues } from '~/utils/containers'
import type { ContainerColumn, ContainerRow } from '~/utils/containers'
import { makeSnapshot } from '~/utils/readings'
import { CONTAINERS, NOW_MS, container as made } from '../answers/containers'

const containers = CONTAINERS as Container[]
const container = (name: string, more: object = {}) => made(name, more) as Container
const rows: ContainerRow[] = containers.map((one, index) => ({ key: one.id, serverId: 1, serverName: index < 2 ? 'web-2' : 'web-10', container: one }))
const names = (found: readonly ContainerRow[]) => found.map(row => row.container.name)

it('shows what is wrong', () => {
  expect(containers.map(toneOfContainer)).toEqual(['ok', 'critical', 'critical', 'unknown'])
  expect(toneOfContainer(container('a', { state: 'exited', exit_code: 143 }))).toBe('unknown')
  expect(toneOfContainer(container('a', { state: 'exited', exit_code: 1 }))).toBe('critical')
  expect(toneOfContainer(container('a', { state: 'restarting' }))).toBe('warning')
  expect(toneOfContainer(container('a', { state: 'dead' }))).toBe('critical')
  expect(toneOfContainer(container('a', { state: '' }))).toBe('ok')
  expect(stateKey(container('a', { state: '' }))).toBe('running')
  expect(stateKey(container('a', { state: 'stopping' }))).toBe('unknown')
})

it('gives each event a tone', () => {
  const tone = (type: string, exit_code = 0) => toneOfContainerEvent({ time_ms: 1, type, container_id: 'a', name: 'a', workload: '', exit_code })
  expect(['oom_killed', 'unhealthy', 'restarted', 'started', 'healthy', 'removed', 'new'].map(type => tone(type)))
    .toEqual(['critical', 'critical', 'warning', 'ok', 'ok', 'unknown', 'unknown'])
  expect([0, 1, 137, 143].map(code => tone('exited', code))).toEqual(['unknown', 'critical', 'unknown', 'unknown'])
})

it('filters by state and by words', () => {
  expect(countContainers(rows)).toEqual({ all: 4, running: 2, stopped: 2, trouble: 2 })
  expect(names(filterContainers(rows, 'running', ''))).toEqual(['shop-web-1', 'shop-db-1'])
  expect(names(filterContainers(rows, 'stopped', ''))).toEqual(['backup', 'old-job'])
  expect(names(filterContainers(rows, 'trouble', ''))).toEqual(['shop-db-1', 'backup'])
  expect(names(filterContainers(rows, 'all', 'SHOP postgres'))).toEqual(['shop-db-1'])
  expect(names(filterContainers(rows, 'all', 'web-2'))).toEqual(['shop-web-1', 'shop-db-1'])
  expect(filterContainers(rows, 'all', 'nothing')).toEqual([])
})

it.each<[ContainerColumn, boolean, string[]]>([
  ['name', false, ['backup', 'old-job', 'shop-db-1', 'shop-web-1']],
  ['server', false, ['shop-db-1', 'shop-web-1', 'backup', 'old-job']],
  ['state', true, ['backup', 'shop-db-1', 'shop-web-1', 'old-job']],
  ['cpu', true, ['shop-web-1', 'backup', 'old-job', 'shop-db-1']],
  ['memory', true, ['shop-db-1', 'backup', 'old-job', 'shop-web-1']],
  ['since', true, ['backup', 'old-job', 'shop-db-1', 'shop-web-1']],
])('sorts by %s', (column, descending, expected) => {
  expect(names(sortContainers(rows, { column, descending }))).toEqual(expected)
})

it('knows since when it is so', () => {
  expect(containers.map(sinceMs)).toEqual([NOW_MS - 3_600_000, NOW_MS - 3_600_000, NOW_MS - 60_000, NOW_MS - 600_000])
  expect(sinceMs(container('a', { state: 'created', started_ms: 0 }))).toBe(NOW_MS - 7_200_000)
})

it('takes the values of this moment where there are some', () => {
  const series = (metric: string, value: number | null) => ({ metric, labels: { container: 'shop-web-1' }, value, rate: null, unit: '', time_ms: 1 })
  const snapshot = makeSnapshot(1, [series('container_cpu_usage_ratio', 0.25), series('container_memory_working_set_bytes', null)] as never)
  expect(withLiveValues(containers[0]!, snapshot)).toMatchObject({ cpu_ratio: 0.25, memory_bytes: containers[0]!.memory_bytes })
  expect(withLiveValues(containers[1]!, snapshot)).toEqual(containers[1])
  expect(withLiveValues(containers[1]!, null)).toEqual(containers[1])
})

it('writes a command that a shell takes as it is meant', () => {
  expect(logsCommand(containers[0]!)).toBe('docker logs --tail 100 shop-web-1')
  expect(logsCommand(containers[2]!)).toBe('podman logs --tail 100 backup')
  expect(logsCommand(container('a; rm \'x\''))).toBe('docker logs --tail 100 \'a; rm \'\\\'\'x\'\\\'\'\'')
})
