import type { Plugin } from 'vite'

/**
 * Leaves out the second of axios's two ways to send a request from a browser, `fetch`, which it takes only where there is no XMLHttpRequest: 4 KB.
 * axios leaves out the one of Node by the same file, in the field "browser" of its package.json.
 */
export function axiosOverXhr(): Plugin {
  return {
    name: 'axios-over-xhr',
    apply: 'build',
    enforce: 'pre',
    resolveId(source, importer) {
      return source === './fetch.js' && importer?.endsWith('/axios/lib/adapters/adapters.js') ? this.resolve('../helpers/null.js', importer) : null
    },
  }
}
