import type { ServerState } from '~/api/servers'

/** `unknown`: the API server cannot be reached. */
export type ShownState = ServerState | 'unknown'

const CLASSES: Record<ShownState, string> = { up: 'state-ok', late: 'state-warning', down: 'state-critical', retired: 'state-unknown', unknown: 'state-unknown' }

/** Whether a server sends nothing, so that its last values are not those of now. */
export const isSilent = (state: ServerState): boolean => state === 'down' || state === 'retired'

export function stateClass(state: ShownState): string {
  return CLASSES[state]
}

/** What people can do with a server. */
export type ServerChange = 'tags' | 'retire' | 'restore' | 'delete'
