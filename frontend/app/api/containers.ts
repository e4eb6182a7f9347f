import { unwrap } from './client'
import * as api from './generated'

export type ContainerList = api.ListContainersResponses[200]
export type Container = ContainerList['containers'][number]
export type ContainerEvents = api.ListContainerEventsResponses[200]
export type ContainerEvent = ContainerEvents['events'][number]

/** The last list of a server that was taken at or before a time; `null`: now. */
export const fetchContainers = (serverId: number, atMs: number | null, signal?: AbortSignal): Promise<ContainerList> =>
  unwrap(api.listContainers({ path: { server_id: serverId }, query: { at: atMs === null ? 'now' : String(Math.floor(atMs)) }, signal, throwOnError: true }))

export type FleetContainers = api.ListFleetContainersResponses[200]

/** The newest list of each server. */
export const fetchFleetContainers = (): Promise<FleetContainers> => unwrap(api.listFleetContainers({ throwOnError: true }))

/** Of these, the containers of Kubernetes. */
export const fetchPods = (): Promise<FleetContainers> => unwrap(api.listFleetContainers({ query: { runtime: 'kubernetes' }, throwOnError: true }))

/** What happened to the containers of a server, newest first. `container`: a name; empty: all. */
export const fetchContainerEvents = (serverId: number, start: string, container: string, limit: number): Promise<ContainerEvents> =>
  unwrap(api.listContainerEvents({ path: { server_id: serverId }, query: { start, container, limit }, throwOnError: true }))
