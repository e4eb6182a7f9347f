import type { Plugin } from 'vite'

const ICON = /\/Icon\.vue$/

/** Puts our icons, which are in the bundle and fetch nothing, in the place of Nuxt UI's `UIcon`, also where its other components draw one. */
export function bundledIcons(ours: string): Plugin {
  return {
    name: 'bongsu:bundled-icons',
    enforce: 'pre',
    resolveId: (source, importer) => (ICON.test(source) && (source.includes('@nuxt/ui/') || importer?.includes('@nuxt/ui/')) ? ours : null),
  }
}
