import { createHash } from 'node:crypto'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { NitroConfig } from 'nitropack/types'
import { LANGUAGES } from './app/utils/languages'
import { axiosOverXhr } from './build/axiosOverXhr'
import { bundledIcons } from './build/bundledIcons'
import { chunkOf } from './build/chunks'
import { licences } from './build/licences'
import { writePseudoLocale } from './i18n/pseudo'

writePseudoLocale()

const INLINE_SCRIPT = /<script>([\s\S]*?)<\/script>/g

// Where the page is shown is known only where it is served: the API server writes it before the paths in the page.
const BASE_URL = `window.__NUXT__.config.app.baseURL=new URL('../',document.currentScript.src).pathname`

// Not in `app.head`, which the browser writes once more, with these paths. The script sets the theme before the first paint; an inline script
// would need 'unsafe-inline' in the policy.
const HEAD = '<script src="/theme.js"></script><link rel="icon" type="image/svg+xml" href="/favicon.svg">'
  + '<link rel="apple-touch-icon" href="/icon-192.png"><link rel="manifest" href="/manifest.webmanifest">'

const UNUSED_PLUGINS = [
  // Writes colour variables into a <style> at run time. Ours are in main.css.
  /@nuxt\/ui\/dist\/runtime\/plugins\/colors/,
  // Prepares to fetch icons. Ours are in the bundle.
  /@nuxt\/icon\/dist\/runtime\/plugin/,
  // For pages that a server renders.
  /nuxt\/dist\/app\/plugins\/(island-link-navigation|chunk-reload-crawler)/,
  /@nuxtjs\/i18n\/dist\/runtime\/plugins\/(switch-locale-path-ssr|ssg-detect)/,
]

// The dashboard fetches by the generated client.
const UNUSED_COMPOSABLES = /nuxt\/dist\/app\/composables\/(asyncData|fetch)\.js$/

const nitro: NitroConfig = {
  prerender: { crawlLinks: false, routes: ['/'] },
  devProxy: { '/api': { target: 'http://127.0.0.1:8600/api', changeOrigin: false } },
  hooks: {
    // Nuxt writes its runtime configuration as an inline script. Moved into a file, it works under `script-src 'self'`.
    async 'prerender:generate'(route, nitro) {
      if (!route.fileName?.endsWith('.html') || !route.contents) return
      const files: Promise<void>[] = []
      const folder = join(nitro.options.output.publicDir, '_nuxt')
      await mkdir(folder, { recursive: true })
      route.contents = route.contents.replace(INLINE_SCRIPT, (_, written: string) => {
        const code = `${written};${BASE_URL}`
        const name = `boot.${createHash('sha256').update(code).digest('hex').slice(0, 8)}.js`
        files.push(writeFile(join(folder, name), code))
        return `<script src="/_nuxt/${name}"></script>`
      })
      route.contents = route.contents.replace('<title>', `${HEAD}<title>`)
      await Promise.all(files)
      // Of what Vite writes, Nuxt takes over the folder _nuxt only.
      await copyFile(join(nitro.options.buildDir, 'dist/client/licences.json'), join(nitro.options.output.publicDir, 'licences.json'))
    },
  },
}

export default defineNuxtConfig({
  modules: ['@nuxt/ui', '@pinia/nuxt', '@nuxtjs/i18n', '@nuxt/eslint'],
  ssr: false,
  components: [{ path: '~/components', pathPrefix: false }],
  devtools: { enabled: false },
  app: {
    head: {
      title: 'Bongsu',
      meta: [
        { name: 'viewport', content: 'width=device-width, initial-scale=1, viewport-fit=cover' },
        { name: 'color-scheme', content: 'light dark' },
        { name: 'theme-color', media: '(prefers-color-scheme: light)', content: '#ffffff' },
        { name: 'theme-color', media: '(prefers-color-scheme: dark)', content: '#121a2b' },
      ],
    },
  },
  css: ['~/assets/css/main.css'],
  // The font comes from npm, not from a remote provider. Our theme switch needs no inline script.
  ui: { fonts: false, colorMode: false },
  // The import map would be another inline script.
  // Pages are fetched when a link is touched, not when it is seen: on the first load, nothing else has to wait for them.
  experimental: { entryImportMap: false, payloadExtraction: false, defaults: { nuxtLink: { prefetchOn: { visibility: false, interaction: true } } } },
  compatibilityDate: '2026-07-31',
  // Nuxt's type for this key is empty in this file.
  nitro: nitro as object,
  vite: {
    // All components have a setup function.
    vue: { features: { optionsAPI: false } },
    $client: {
      build: {
        rolldownOptions: {
          output: { codeSplitting: { groups: [{ name: chunkOf, debugName: 'shared', includeDependenciesRecursively: false }] } },
          treeshake: { moduleSideEffects: [{ test: UNUSED_COMPOSABLES, sideEffects: false }] },
        },
      },
    },
    plugins: [licences(import.meta.dirname), axiosOverXhr(), bundledIcons(fileURLToPath(new URL('./app/icons/bundled.ts', import.meta.url)))],
  },
  typescript: { strict: true, nodeTsConfig: { include: ['../build/*.ts'] }, tsConfig: { compilerOptions: { noUncheckedIndexedAccess: true } } },
  telemetry: false,
  hooks: {
    // Of `<link rel=prefetch>`, Chromium fetches the code twice when it is needed at once: session.global.ts asks for it in time.
    'build:manifest'(manifest) {
      for (const file of Object.values(manifest)) file.prefetch = false
    },
    'app:resolve'(app) {
      app.plugins = app.plugins.filter(plugin => !UNUSED_PLUGINS.some(unused => unused.test(plugin.src)))
    },
  },
  eslint: { config: { stylistic: true } },
  i18n: {
    // Messages are compiled at build time, so the browser needs no compiler.
    bundle: { dropMessageCompiler: true },
    strategy: 'no_prefix',
    defaultLocale: 'ko',
    // Each is loaded on demand. A browser's language selects the first locale of this language: English, not en-XA, which is for tests and
    // in no menu.
    locales: [
      ...LANGUAGES.map(({ code }) => ({ code, file: `${code}.json` })),
      { code: 'en-XA', file: 'en-XA.json' },
    ],
    detectBrowserLanguage: { useCookie: true, cookieKey: 'bongsu_language', fallbackLocale: 'en', redirectOn: 'root' },
  },
  icon: {
    provider: 'none',
    mode: 'svg',
    fallbackToApi: false,
    serverBundle: false,
    clientBundle: { scan: { globInclude: ['app/**/*.{vue,ts}'], globExclude: ['app/api/**'] }, sizeLimitKb: 64 },
  },
})
