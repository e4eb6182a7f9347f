import type { ServerState } from '~/api/servers'

/** What is shown: while the API is away nobody knows how a server is. */
export type ShownState = ServerState | 'unknown'

const CLASSES: Record<ShownState, string> = { up: 'state-ok', late: 'state-warning', down: 'state-critical', unknown: 'state-unknown' }

export function stateClass(state: ShownState): string {
  return CLASSES[state]
}
