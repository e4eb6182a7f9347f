// A stand-in for the API server: serves the simulated API and, once it is generated, the dashboard under the same content security
// policy as the real one. Any email address and password log in. Usage: node mock/server.ts [--port 8600] [--empty]
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { answer } from './api.ts'

const PUBLIC = fileURLToPath(new URL('../.output/public', import.meta.url))
const POLICY = 'default-src \'self\'; img-src \'self\' data:; object-src \'none\'; base-uri \'self\'; frame-ancestors \'none\''
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.json': 'application/json', '.woff2': 'font/woff2',
}
const LOGGED_IN_COOKIE = 'bongsu_logged_in=1'
const COOKIE_CHANGES: Record<string, string> = {
  '/api/auth/login': `${LOGGED_IN_COOKIE}; Path=/`,
  '/api/auth/logout': `${LOGGED_IN_COOKIE}; Path=/; Max-Age=0`,
}

const { values: options } = parseArgs({ options: { port: { type: 'string', default: '8600' }, empty: { type: 'boolean', default: false } } })

function sendApi(url: URL, method: string, loggedIn: boolean, response: ServerResponse): void {
  const send = (status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
  const fail = (status: number, code: string, message: string) => send(status, { error: { code, message, field: null, limit: null } })

  const cookie = COOKIE_CHANGES[url.pathname]
  if (cookie) response.setHeader('set-cookie', cookie)
  if (url.pathname === '/api/auth/refresh' && !loggedIn) return fail(401, 'not_logged_in', 'You are not logged in.')
  if (url.pathname === '/api/servers' && options.empty) return send(200, { servers: [], next: null })
  const body = answer(url, method, Date.now())
  if (body) send(200, body)
  else fail(404, 'not_found', `There is no ${url.pathname}.`)
}

async function readPublic(pathname: string): Promise<{ body: Buffer, type: string } | null> {
  const path = normalize(join(PUBLIC, extname(pathname) === '' ? '/index.html' : pathname))
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
    sendApi(url, request.method ?? 'GET', request.headers.cookie?.includes(LOGGED_IN_COOKIE) ?? false, response)
    return
  }
  const file = await readPublic(url.pathname)
  response.writeHead(file ? 200 : 404, { 'content-type': file?.type ?? 'text/plain', 'content-security-policy': POLICY })
  response.end(file?.body ?? 'Not found')
})

server.listen(Number(options.port), '127.0.0.1', () => console.log(`Simulated API on http://127.0.0.1:${options.port}; any email address and password log in.`))
