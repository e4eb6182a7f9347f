import { unwrap } from './client'
import * as api from './generated'

export type EventPage = api.ListEventsResponses[200]
export type ServerEvent = EventPage['events'][number]
export type EventType = ServerEvent['type']

/** Older than any event can be, so that pages go back to the first one. */
const BEGINNING = '-50y'

/** A page of what happened on a server, newest first. `cursor`: `next` of the page before. */
export const listEvents = (serverId: number, limit: number, cursor: string | null, signal?: AbortSignal): Promise<EventPage> =>
  unwrap(api.listEvents({ query: { server: [serverId], start: BEGINNING, limit, ...(cursor === null ? {} : { cursor }) }, signal, throwOnError: true }))
