import { h } from 'vue'
import type { FunctionalComponent, VNode } from 'vue'
import { init } from '#build/nuxt-icon-client-bundle'
import type { BundledIcon } from '#build/nuxt-icon-client-bundle'

const icons = new Map<string, BundledIcon>()

function find(name: string): BundledIcon {
  if (icons.size === 0) init((key, icon) => icons.set(key, icon))
  // `i-lucide-server` is in the bundle as `lucide:server`.
  return icons.get(name.replace(/^i-([a-z]+)-/, '$1:')) ?? { body: '', width: 24, height: 24 }
}

const drawings = new Map<string, DocumentFragment>()

/** The shapes of an icon: read once, then copied. */
function draw(body: string): Node {
  let drawing = drawings.get(body)
  if (!drawing) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
    svg.innerHTML = body
    drawing = document.createDocumentFragment()
    drawing.append(...svg.childNodes)
    drawings.set(body, drawing)
  }
  return drawing.cloneNode(true)
}

/**
 * `UIcon`. All icons are in the bundle, so that nothing is needed of what Nuxt UI and @nuxt/icon bring to fetch, cache, mask and turn them: 10 KB
 * of JavaScript, and four components for every icon on a page.
 */
const BundledIconView: FunctionalComponent<{ name: string }> = ({ name }) => {
  const { body, width, height } = find(name)
  return h('svg', {
    // Another icon is another element.
    'key': name,
    'xmlns': 'http://www.w3.org/2000/svg',
    'aria-hidden': true,
    'role': 'img',
    'width': '1em',
    'height': '1em',
    'viewBox': `0 0 ${width} ${height}`,
    'onVnodeBeforeMount': ({ el }: VNode) => (el as Element).append(draw(body)),
  })
}
BundledIconView.props = ['name', 'mode', 'size', 'customize']

export default BundledIconView
