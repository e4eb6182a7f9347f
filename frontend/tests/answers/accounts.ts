// Users, tokens, sessions and audit entries as the API answers them. Changes are accepted and forgotten.

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const USERS = [
  { id: 1, email: 'admin@example.com', name: 'Admin', role: 'admin', tags: {}, disabled: false, second_factor: true, seenHoursAgo: 0 },
  { id: 2, email: 'minji.kim@example.com', name: '김민지', role: 'operator', tags: { team: 'web', site: 'seoul' }, disabled: false, second_factor: true, seenHoursAgo: 3 },
  { id: 3, email: 'wall-screen@example.com', name: 'Wall screen', role: 'viewer', tags: {}, disabled: false, second_factor: false, seenHoursAgo: null },
  { id: 4, email: 'a.person.with.a.long.name@subsidiary.example.com', name: 'A person with a long name', role: 'viewer', tags: { team: 'db' }, disabled: true, second_factor: false, seenHoursAgo: 900 },
] as const

export function users(nowMs: number): object[] {
  return USERS.map(({ seenHoursAgo, ...user }) => ({
    ...user, oidc: false, password: true, created_ms: nowMs - 60 * DAY_MS, last_login_ms: seenHoursAgo === null ? 0 : nowMs - seenHoursAgo * HOUR_MS,
  }))
}

export function login(nowMs: number): object {
  return { access_token: 'simulated', expires_ms: nowMs + HOUR_MS, user: users(nowMs)[0] }
}

export function apiTokens(nowMs: number): object[] {
  const token = { owner: USERS[0].email, tags: {}, created_ms: nowMs - 30 * DAY_MS, last_used_ms: 0 }
  return [
    { ...token, id: 1, name: 'wall screen', scope: 'viewer', tags: { site: 'seoul' }, expires_ms: nowMs + 60 * DAY_MS, last_used_ms: nowMs - 40_000 },
    { ...token, id: 2, name: 'deploy script', scope: 'operator', expires_ms: 0 },
    { ...token, id: 3, name: 'old export', scope: 'admin', expires_ms: nowMs - DAY_MS },
  ]
}

export function enrolmentTokens(nowMs: number): object[] {
  const token = { tags: {}, server_id: null, created_by: USERS[0].email, created_ms: nowMs - HOUR_MS, last_used_ms: 0 }
  return [
    { ...token, id: 1, name: 'web servers', tags: { team: 'web' }, uses_left: null, expires_ms: nowMs + 23 * HOUR_MS },
    { ...token, id: 2, name: 'new server', uses_left: 1, expires_ms: nowMs + 23 * HOUR_MS },
    { ...token, id: 3, name: 'db-primary', server_id: 2, uses_left: 0, expires_ms: nowMs + HOUR_MS },
  ]
}

export function sessions(nowMs: number): object[] {
  const session = { created_ms: nowMs - 5 * DAY_MS, expires_ms: nowMs + 25 * DAY_MS }
  return [
    { ...session, id: 'a', current: true, address: '127.0.0.1', user_agent: 'Firefox on Linux', last_used_ms: nowMs },
    { ...session, id: 'b', current: false, address: '203.0.113.7', user_agent: '', last_used_ms: nowMs - 26 * HOUR_MS },
  ]
}

export function auditEntries(nowMs: number, action: string): object[] {
  const entry = { actor: 'user:1', actor_name: USERS[0].email, address: '127.0.0.1' }
  return [
    { ...entry, id: 3, time_ms: nowMs - 60_000, action: 'user.update', target: 'user:2', before: { role: 'viewer' }, after: { role: 'operator' } },
    { ...entry, id: 2, time_ms: nowMs - HOUR_MS, action: 'enrolment_token.create', target: 'enrolment_token:1', before: null, after: { name: 'web servers', uses: 0 } },
    { ...entry, id: 1, time_ms: nowMs - DAY_MS, action: 'login.failed', target: '', before: null, after: null },
  ].filter(item => action === '' || item.action.startsWith(`${action}.`))
}
