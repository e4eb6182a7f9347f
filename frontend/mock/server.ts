// A stand-in for the API server: simulated servers under /api and, when it was generated, the dashboard itself under the strict
// policy that the real one will send. Usage: node mock/server.ts [--port 8600] [--empty]
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { current, history, servers } from './api.ts'

const PUBLIC = fileURLToPath(new URL('../.output/public', import.meta.url))
const POLICY = 'default-src \'self\'; img-src \'self\' data:; object-src \'none\'; base-uri \'self\'; frame-ancestors \'none\''
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.json': 'application/json', '.woff2': 'font/woff2',
}

const { values: options } = parseArgs({ options: { port: { type: 'string', default: '8600' }, empty: { type: 'boolean', default: false } } })
const startedMs = Date.now()

function answer(url: URL): object | null {
  const nowMs = Date.now()
  switch (url.pathname) {
    case '/api/health':
      return {
        status: 'ok', version: '0.1.0', time_ms: nowMs, uptime_seconds: (nowMs - startedMs) / 1000, problems: [],
        ingest: { frames_total: 0, samples_total: 0, duplicates_total: 0, rejected_total: {} },
      }
    case '/api/auth/refresh': return {
      access_token: 'simulated', expires_ms: nowMs + 900_000,
      user: {
        id: 1, email: 'admin@example.com', name: 'Admin', role: 'admin', tags: {}, disabled: false, second_factor: false, oidc: false,
        password: true, created_ms: startedMs, last_login_ms: startedMs,
      },
    }
    case '/api/servers': return options.empty ? { servers: [], next: null } : servers(nowMs)
    case '/api/metrics/current': return current(url.searchParams, nowMs)
    case '/api/metrics/history': return history(url.searchParams, nowMs)
    default: return null
  }
}

async function file(pathname: string): Promise<{ body: Buffer, type: string } | null> {
  const name = extname(pathname) === '' ? '/index.html' : pathname
  const path = normalize(join(PUBLIC, name))
  if (!path.startsWith(PUBLIC)) return null
  try {
    return { body: await readFile(path), type: TYPES[extname(path)] ?? 'application/octet-stream' }
  }
  catch {
    return null
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost')
  if (url.pathname.startsWith('/api/')) {
    const body = answer(url)
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? { error: { code: 'not_found', message: `There is no ${url.pathname}.`, field: null, limit: null } }))
    return
  }
  const found = await file(url.pathname)
  response.writeHead(found ? 200 : 404, { 'content-type': found?.type ?? 'text/plain', 'content-security-policy': POLICY })
  response.end(found?.body ?? 'Not found')
})

server.listen(Number(options.port), '127.0.0.1', () => console.log(`Simulated API on http://127.0.0.1:${options.port}`))
