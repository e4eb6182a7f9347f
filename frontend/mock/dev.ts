// `npm run dev:mock`: starts the simulated API and the Nuxt development server, and stops both together.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const API_PORT = '8609'
const DASHBOARD_PORT = '3000'
const root = fileURLToPath(new URL('..', import.meta.url))

const children = [
  spawn(process.execPath, ['mock/server.ts', '--port', API_PORT, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' }),
  spawn(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'dev', '--port', DASHBOARD_PORT], {
    cwd: root, stdio: 'inherit', env: { ...process.env, BONGSU_API_URL: `http://127.0.0.1:${API_PORT}` },
  }),
]

function stop(): void {
  for (const child of children) child.kill('SIGTERM')
}

for (const child of children) child.on('exit', stop)
process.on('SIGINT', stop)
process.on('SIGTERM', stop)
