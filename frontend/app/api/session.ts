// Log in, stay logged in, log out. The access token is kept in this module's memory only; the refresh token is in a cookie that scripts
// cannot read.
import type { InternalAxiosRequestConfig } from 'axios'
import { isAxiosError } from 'axios'
import { ApiError, unwrap } from './client'
import * as api from './generated'
import { client } from './generated/client.gen'

export type Login = api.LogInResponses[200]
export type SetupState = api.GetSetupResponses[200]

// Refresh this long before the token expires: this machine's clock may be slightly off, and the request takes time.
const REFRESH_MARGIN_MS = 60_000
const REFRESH_LOCK = 'bongsu-session'
const LOGGED_IN_COOKIE = 'bongsu_logged_in=1'
// Protects against cross-site requests: a form on another site cannot set this header.
const SCRIPT_HEADER = { 'X-Bongsu': '1' }
const PUBLIC_PATHS = /^\/api\/(auth|setup|shared)(\/|$)/

let accessToken: { text: string, lifetimeMs: number, receivedAtMs: number } | null = null
let pendingRefresh: Promise<Login> | null = null
let notifySessionEnd: () => void = () => {}

/** Adds the access token to every request and refreshes it in time. Calls `onSessionEnd` when the API server refuses a refresh. */
export function configureSession(onSessionEnd: () => void): void {
  notifySessionEnd = onSessionEnd
  client.instance.interceptors.request.use(async (config) => {
    if (PUBLIC_PATHS.test(pathOf(config))) return config
    if (accessToken && performance.now() - accessToken.receivedAtMs > accessToken.lifetimeMs - REFRESH_MARGIN_MS) await refresh().catch(() => null)
    if (accessToken) config.headers.set('Authorization', `Bearer ${accessToken.text}`)
    return config
  })
  client.instance.interceptors.response.use(undefined, async (error: unknown) => {
    if (!isAxiosError(error) || error.response?.status !== 401 || !error.config) throw error
    const config = error.config as InternalAxiosRequestConfig & { retried?: boolean }
    if (config.retried || PUBLIC_PATHS.test(pathOf(config))) throw error
    config.retried = true
    await refresh().catch(() => {
      throw error
    })
    return client.instance.request(config)
  })
}

function pathOf(config: InternalAxiosRequestConfig): string {
  return new URL(client.instance.getUri(config), window.location.origin).pathname
}

function keepToken(login: Login): Login {
  const lifetimeMs = login.expires_ms - Date.now()
  accessToken = {
    text: login.access_token,
    // If this machine's clock is far off, use the token until the API server says that it has expired.
    lifetimeMs: lifetimeMs < REFRESH_MARGIN_MS * 2 ? Infinity : lifetimeMs,
    receivedAtMs: performance.now(),
  }
  return login
}

/** Gets the next access token. Only one request runs at a time, across tabs where the browser has locks: a refresh token works once. */
export function refresh(): Promise<Login> {
  pendingRefresh ??= withLock(() => unwrap(api.refreshLogin({ headers: SCRIPT_HEADER, throwOnError: true }))).then(keepToken, (error: unknown) => {
    accessToken = null
    if (isRefusal(error)) notifySessionEnd()
    throw error
  }).finally(() => { pendingRefresh = null })
  return pendingRefresh
}

/** The access token, for what is no request of the client. `fresh`: a new one, since the last one is refused or ends soon. */
export async function currentToken(fresh: boolean): Promise<string> {
  if (!fresh && accessToken && performance.now() - accessToken.receivedAtMs < accessToken.lifetimeMs - REFRESH_MARGIN_MS) return accessToken.text
  return (await refresh()).access_token
}

/** Whether the API server answered that the session is over; otherwise it may just be unreachable. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.status === 403)
}

function withLock<T>(task: () => Promise<T>): Promise<T> {
  // Browsers offer locks only over https or on localhost. Elsewhere the API server's grace period for two tabs has to be enough.
  return navigator.locks ? navigator.locks.request(REFRESH_LOCK, task) : task()
}

/** Whether the browser may still hold a refresh token. */
export function mayRefresh(): boolean {
  return document.cookie.split('; ').includes(LOGGED_IN_COOKIE)
}

export async function logIn(body: api.LogInData['body']): Promise<Login> {
  return keepToken(await unwrap(api.logIn({ body, throwOnError: true })))
}

export async function finishSetup(body: api.FinishSetupData['body']): Promise<Login> {
  return keepToken(await unwrap(api.finishSetup({ body, throwOnError: true })))
}

export async function logOut(): Promise<void> {
  accessToken = null
  await unwrap(api.logOut({ headers: SCRIPT_HEADER, throwOnError: true }))
}

export const fetchSetup = (): Promise<SetupState> => unwrap(api.getSetup({ throwOnError: true }))
