import { createAskingFetch } from './asking.js'
import { createClient, createConfig } from './generated/client/index.js'
import { Bongsu } from './generated/index.js'

export { BongsuError } from './errors.js'
export * from './generated/index.js'

export interface BongsuOptions {
  /** The address of the API server. @default 'http://127.0.0.1:8600' */
  url?: string
  /** An API token, or an access token of a login. */
  token?: string
  /** Longest wait for an answer, in milliseconds. @default 60000 */
  timeoutMs?: number
  /** Called in place of the global `fetch`. */
  fetch?: typeof fetch
}

/**
 * A client with a method for each endpoint, such as `listServers`.
 *
 * Every method throws a `BongsuError` if the API server refuses or cannot be reached. Requests that are answered with
 * 429 or 503 are repeated up to three times, after the time that the answer says.
 */
export function createBongsu(options: BongsuOptions = {}): Bongsu {
  const { url = 'http://127.0.0.1:8600', token, timeoutMs = 60_000 } = options
  const ask = createAskingFetch(options.fetch ?? fetch, timeoutMs)
  const config = createConfig({ baseUrl: url.replace(/\/+$/, ''), auth: token, fetch: ask, throwOnError: true })
  return new Bongsu({ client: createClient(config) })
}
