import type { ServerState } from '~/api/servers'

/** `unknown`: the API server cannot be reached. */
export type ShownState = ServerState | 'unknown'

const CLASSES: Record<ShownState, string> = { up: 'state-ok', late: 'state-warning', down: 'state-critical', unknown: 'state-unknown' }

export function stateClass(state: ShownState): string {
  return CLASSES[state]
}
