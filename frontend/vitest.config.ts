import { fileURLToPath } from 'node:url'
import { defineVitestProject } from '@nuxt/test-utils/config'
import { defineConfig } from 'vitest/config'

const app = fileURLToPath(new URL('./app', import.meta.url))

export default defineConfig({
  test: {
    projects: [
      // Pure functions and stores, in plain node.
      { test: { name: 'unit', include: ['tests/unit/**/*.test.ts'], environment: 'node' }, resolve: { alias: { '~': app } } },
      // Components, within the app.
      await defineVitestProject({
        test: {
          name: 'nuxt',
          include: ['tests/nuxt/**/*.test.ts'],
          environment: 'nuxt',
          environmentOptions: { nuxt: { domEnvironment: 'happy-dom' } },
          setupFiles: ['tests/nuxt/setup.ts'],
          // Both only end what hangs: the first mount compiles the app, which takes a busy machine more than 10 s.
          hookTimeout: 120_000,
          testTimeout: 120_000,
        },
      }),
    ],
  },
})
