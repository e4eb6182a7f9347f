import { useDocumentVisibility, useEventListener } from '@vueuse/core'
import { onScopeDispose, watch } from 'vue'
import { currentToken } from '~/api/session'
import type { ServerMessage } from '~/api/proto/live'
import { LiveSocket } from '~/utils/live/socket'
import type { SocketState } from '~/utils/live/socket'

export interface WebSocketHandlers {
  onMessage: (message: ServerMessage) => void
  onState: (state: SocketState, failures: number) => void
  since: (subscription: number) => number
}

/** The live stream for as long as the component lives: closed while the page is hidden, back at once when the network is. */
export function useWebSocket(handlers: WebSocketHandlers): LiveSocket {
  const socket = new LiveSocket({ url: `${useSite().url.replace(/^http/, 'ws')}/api/ws`, token: currentToken, ...handlers })
  const visibility = useDocumentVisibility()
  watch(visibility, (value) => {
    if (value === 'hidden') socket.stop()
    else socket.start()
  })
  useEventListener('online', () => socket.retryNow())
  if (visibility.value !== 'hidden') socket.start()
  onScopeDispose(() => socket.stop())
  return socket
}
