// Log in, stay logged in, log out. The access token lives in this module's memory and nowhere else; the refresh token is in a cookie
// that scripts cannot read.
import type { InternalAxiosRequestConfig } from 'axios'
import { isAxiosError } from 'axios'
import { unwrap } from './client'
import { finishSetup, getSetup, logIn, logOut, refreshLogin } from './generated'
import type { FinishSetupData, GetSetupResponses, LogInData, LogInResponses } from './generated'
import { client } from './generated/client.gen'

export type LoggedIn = LogInResponses[200]

export type SetupState = GetSetupResponses[200]

// Sooner than it expires: the clock of this machine may be wrong by a little, and the request takes its time.
const EARLY_MS = 60_000
const LOCK = 'bongsu-session'
// What a form of another site cannot send.
const BY_SCRIPT = { 'X-Bongsu': '1' }
const WITHOUT_TOKEN = /^\/api\/(auth|setup)(\/|$)/

let token: { text: string, lifetimeMs: number, sinceMs: number } | null = null
let refreshing: Promise<LoggedIn> | null = null
let onEnd: () => void = () => {}

/** Puts the token into every request, and gets a new one in time; `ended` is called when there is none to get. */
export function configureSession(ended: () => void): void {
  onEnd = ended
  client.instance.interceptors.request.use(async (config) => {
    if (WITHOUT_TOKEN.test(pathOf(config))) return config
    if (token && performance.now() - token.sinceMs > token.lifetimeMs - EARLY_MS) await refresh().catch(() => null)
    if (token) config.headers.set('Authorization', `Bearer ${token.text}`)
    return config
  })
  client.instance.interceptors.response.use(undefined, async (error: unknown) => {
    if (!isAxiosError(error) || error.response?.status !== 401 || !error.config) throw error
    const config = error.config as InternalAxiosRequestConfig & { again?: boolean }
    if (config.again || WITHOUT_TOKEN.test(pathOf(config))) throw error
    config.again = true
    await refresh().catch(() => {
      throw error
    })
    return client.instance.request(config)
  })
}

function pathOf(config: InternalAxiosRequestConfig): string {
  return new URL(client.instance.getUri(config), window.location.origin).pathname
}

function take(login: LoggedIn): LoggedIn {
  token = { text: login.access_token, lifetimeMs: login.expires_ms - Date.now(), sinceMs: performance.now() }
  // A clock that is far off: the token is used until the server says that it has expired.
  if (token.lifetimeMs < EARLY_MS * 2) token.lifetimeMs = Infinity
  return login
}

/** The next access token. One request at a time, over all tabs where the browser can: each refresh token is good once. */
export function refresh(): Promise<LoggedIn> {
  refreshing ??= locked(() => unwrap(refreshLogin({ headers: BY_SCRIPT, throwOnError: true }))).then(take, (error: unknown) => {
    token = null
    if (isRefusal(error)) onEnd()
    throw error
  }).finally(() => { refreshing = null })
  return refreshing
}

function isRefusal(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'status' in error && (error.status === 401 || error.status === 403)
}

function locked<T>(task: () => Promise<T>): Promise<T> {
  // Over plain http to another machine there are no locks; the server's grace for two tabs has to do.
  return navigator.locks ? navigator.locks.request(LOCK, task) : task()
}

/** Whether there may be a session from the last time. */
export function mayRefresh(): boolean {
  return document.cookie.split('; ').includes('bongsu_logged_in=1')
}

export async function login(body: LogInData['body']): Promise<LoggedIn> {
  return take(await unwrap(logIn({ body, throwOnError: true })))
}

export async function setUp(body: FinishSetupData['body']): Promise<LoggedIn> {
  return take(await unwrap(finishSetup({ body, throwOnError: true })))
}

export async function logout(): Promise<void> {
  token = null
  await unwrap(logOut({ headers: BY_SCRIPT, throwOnError: true }))
}

export function fetchSetup(): Promise<SetupState> {
  return unwrap(getSetup({ throwOnError: true }))
}
