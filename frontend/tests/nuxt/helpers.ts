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

/** Replaces the API at its HTTP edge. */
export function serveApi(answer: Answer): void {
  client.setConfig({
    adapter: async (config) => {
      const url = new URL(client.instance.getUri(config), 'http://bongsu.test')
      const data = answer(url)
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
