// What the API answers in the tests of pages.
import * as accounts from './accounts'
import { events } from './events'
import { catalog, current, history, servers } from './metrics'

/** `null`: there is no such endpoint. */
export function answer(url: URL, method: string, nowMs: number): object | null {
  switch (`${method} ${url.pathname}`) {
    case 'GET /api/health': return health(nowMs)
    case 'GET /api/about': return about(nowMs)
    case 'GET /api/setup': return { needed: false, oidc: null }
    case 'POST /api/auth/login':
    case 'POST /api/auth/refresh': return accounts.login(nowMs)
    case 'GET /api/account': return accounts.users(nowMs)[0]!
    case 'GET /api/account/sessions': return { sessions: accounts.sessions(nowMs) }
    case 'GET /api/users': return { users: accounts.users(nowMs) }
    case 'GET /api/tokens': return { tokens: accounts.apiTokens(nowMs) }
    case 'POST /api/tokens': return { ...accounts.apiTokens(nowMs)[0], token: 'bongsu_api_simulated' }
    case 'GET /api/enrolment-tokens': return { tokens: accounts.enrolmentTokens(nowMs) }
    case 'POST /api/enrolment-tokens': return { ...accounts.enrolmentTokens(nowMs)[0], token: 'bongsu_enrol_simulated' }
    case 'GET /api/audit': return { entries: accounts.auditEntries(nowMs, url.searchParams.get('action') ?? ''), next: null }
    case 'GET /api/servers': return servers(nowMs)
    case 'GET /api/events': return events(url.searchParams)
    case 'GET /api/metrics/catalog': return catalog()
    case 'GET /api/metrics/current': return current(url.searchParams, nowMs)
    case 'GET /api/metrics/history': return history(url.searchParams, nowMs)
    default: return method === 'GET' ? null : {}
  }
}

function health(nowMs: number): object {
  return {
    status: 'ok',
    version: '0.1.0',
    time_ms: nowMs,
    uptime_seconds: 200,
    problems: [],
    ingest: { frames_total: 4_000, samples_total: 600_000, duplicates_total: 0, rejected_total: { wrong_frame_length: 3 }, samples_refused_total: {}, queued_bytes: 2_048 },
    live: { clients: 2, streams: 7, messages_total: 90, dropped_frames_total: 12, closed_total: {} },
    refused_total: {},
    jobs: ['sealer', 'alerts'].map(name => ({ name, good_ms: nowMs - 4_000, error: '', failing: 0 })),
    alerts: { evaluated_ms: nowMs - 6_000, skipped: [], blind_servers: [], untold: 0, waiting: 0, oldest_waiting_ms: null, dead: 0 },
    storage: { unsealed_since_ms: nowMs - 900_000, unrolled_since_ms: nowMs - 7_200_000, quarantined_frames: 0 },
  }
}

function about(nowMs: number): object {
  return {
    version: '0.1.0', python: '3.13.1', platform: 'Linux-6.1.0-x86_64', database: 'SQLite 3.46.1', database_bytes: 5 * 1024 ** 3, started_ms: nowMs - 200_000,
    cpu_seconds: 8, memory_bytes: 150 * 1024 ** 2, packages: [{ name: 'psutil', version: '7.1.0', licence: 'BSD-3-Clause' }],
  }
}
