import axe from 'axe-core'
import { vi } from 'vitest'
import { answer } from '../answers/api'
import { client } from '~/api/generated/client.gen'

export type Answer = (url: URL, method: string, body?: unknown) => object | 'unreachable'

export const simulated: Answer = (url, method) => answer(url, method, Date.now()) ?? 'unreachable'

/** Replaces HTTP: the generated client and everything above it are real. */
export function serveApi(answer: Answer): void {
  document.cookie = 'bongsu_logged_in=1'
  client.setConfig({
    adapter: async (config) => {
      const url = new URL(client.instance.getUri(config), 'http://bongsu.test')
      const body: unknown = typeof config.data === 'string' ? JSON.parse(config.data) : config.data
      const data = answer(url, (config.method ?? 'get').toUpperCase(), body)
      if (data === 'unreachable') throw new Error('Network Error')
      return { data, status: 200, statusText: 'OK', headers: {}, config }
    },
  })
}

/** Waits until `check` no longer throws. A busy machine takes seconds to mount a page. */
export function eventually(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000 })
}

/** Accessibility violations that axe finds. Contrast and page structure need a real browser. */
export async function violations(element: Element): Promise<string[]> {
  // axe only checks elements that are in the document.
  if (!element.isConnected) document.body.append(element.getRootNode())
  const result = await axe.run(element, { rules: { 'color-contrast': { enabled: false }, 'region': { enabled: false }, 'page-has-heading-one': { enabled: false } } })
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join('\n')}`)
}
