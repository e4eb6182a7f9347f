// `npm run dev:mock`: the simulated API and the development server beside it, both ended together.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PORT = '8609'
const root = fileURLToPath(new URL('..', import.meta.url))

const children = [
  spawn(process.execPath, ['mock/server.ts', '--port', PORT, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' }),
  spawn(process.execPath, ['node_modules/nuxt/bin/nuxt.mjs', 'dev', '--port', '3000'], {
    cwd: root, stdio: 'inherit', env: { ...process.env, BONGSU_API_URL: `http://127.0.0.1:${PORT}` },
  }),
]

function stop(): void {
  for (const child of children) child.kill('SIGTERM')
}

for (const child of children) child.on('exit', stop)
process.on('SIGINT', stop)
process.on('SIGTERM', stop)
