import axe from 'axe-core'
import { current, history, servers } from '../../mock/api'
import { client } from '~/api/generated/client.gen'

export type Answer = (url: URL) => object | 'away'

export const simulated: Answer = (url) => {
  const now = Date.now()
  if (url.pathname === '/api/servers') return servers(now)
  if (url.pathname === '/api/metrics/current') return current(url.searchParams, now)
  return history(url.searchParams, now)
}

function loggedIn(): object {
  return {
    access_token: 'a token', expires_ms: Date.now() + 900_000,
    user: {
      id: 1, email: 'admin@bongsu.test', name: 'Admin', role: 'admin', tags: {}, disabled: false, second_factor: false, oidc: false,
      password: true, created_ms: Date.now() - 86_400_000, last_login_ms: Date.now(),
    },
  }
}

/** Replaces the API at its HTTP edge. */
export function serveApi(answer: Answer): void {
  document.cookie = 'bongsu_logged_in=1'
  client.setConfig({
    adapter: async (config) => {
      const url = new URL(client.instance.getUri(config), 'http://bongsu.test')
      const found = answer(url)
      const data = url.pathname === '/api/auth/refresh' && found !== 'away' ? loggedIn() : found
      if (data === 'away') throw new Error('Network Error')
      return { data, status: 200, statusText: 'OK', headers: {}, config }
    },
  })
}

/** What axe finds; contrast and page structure are for a real browser. */
export async function violations(element: Element): Promise<string[]> {
  // axe looks only at what is on the page.
  if (!element.isConnected) document.body.append(element.getRootNode())
  const result = await axe.run(element, { rules: { 'color-contrast': { enabled: false }, 'region': { enabled: false }, 'page-has-heading-one': { enabled: false } } })
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join('\n')}`)
}
