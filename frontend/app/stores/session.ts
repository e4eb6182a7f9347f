import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { ApiError } from '~/api/client'
import { fetchSetup, login, logout, mayRefresh, refresh, setUp } from '~/api/session'
import type { LoggedIn } from '~/api/session'
import type { Role, User } from '~/api/users'

/** `unknown`: nobody has answered yet. */
export type SessionState = 'unknown' | 'setup' | 'out' | 'in'

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 }

export const useSessionStore = defineStore('session', () => {
  const state = ref<SessionState>('unknown')
  const user = shallowRef<User | null>(null)
  /** What the button to log in with OpenID says; `null`: there is none. */
  const oidc = ref<string | null>(null)

  const isAdmin = computed(() => may('admin'))

  function may(role: Role): boolean {
    return user.value !== null && RANK[user.value.role] >= RANK[role]
  }

  function take(found: LoggedIn): void {
    user.value = found.user
    state.value = 'in'
  }

  /** By the cookie of the last time; else whether there is anybody who could log in. */
  async function start(): Promise<void> {
    if (state.value !== 'unknown') return
    if (!mayRefresh()) return look()
    try {
      take(await refresh())
    }
    catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) await look()
    }
  }

  async function look(): Promise<void> {
    const found = await fetchSetup()
    oidc.value = found.oidc
    state.value = found.needed ? 'setup' : 'out'
  }

  async function enter(email: string, password: string, code: string): Promise<void> {
    take(await login({ email, password, code }))
  }

  async function finishSetup(token: string, email: string, name: string, password: string): Promise<void> {
    take(await setUp({ token, email, name, password }))
  }

  /** The session is over, by whatever way. */
  function ended(): void {
    user.value = null
    if (state.value === 'in') state.value = 'out'
  }

  async function leave(): Promise<void> {
    try {
      await logout()
    }
    finally {
      ended()
    }
  }

  return { state, user, oidc, isAdmin, may, start, look, enter, finishSetup, ended, leave, take }
})
