import { h } from 'vue'
import type { FunctionalComponent } from 'vue'
import { init } from '#build/nuxt-icon-client-bundle'
import type { BundledIcon } from '#build/nuxt-icon-client-bundle'

const icons = new Map<string, BundledIcon>()

function find(name: string): BundledIcon {
  if (icons.size === 0) init((key, icon) => icons.set(key, icon))
  // `i-lucide-server` is in the bundle as `lucide:server`.
  return icons.get(name.replace(/^i-([a-z]+)-/, '$1:')) ?? { body: '', width: 24, height: 24 }
}

/**
 * `UIcon`. All icons are in the bundle, so that nothing is needed of what Nuxt UI and @nuxt/icon bring to fetch, cache, mask and turn them: 10 KB
 * of JavaScript, and four components for every icon on a page.
 */
const BundledIconView: FunctionalComponent<{ name: string }> = ({ name }) => {
  const { body, width, height } = find(name)
  return h('svg', {
    'xmlns': 'http://www.w3.org/2000/svg',
    'aria-hidden': true,
    'role': 'img',
    'width': '1em',
    'height': '1em',
    'viewBox': `0 0 ${width} ${height}`,
    'innerHTML': body,
  })
}
BundledIconView.props = ['name', 'mode', 'size', 'customize']

export default BundledIconView
