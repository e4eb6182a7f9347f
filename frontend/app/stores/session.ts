import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import * as api from '~/api/session'
import type { Login } from '~/api/session'
import { ROLES } from '~/api/users'
import type { Role, User } from '~/api/users'

/** `unknown`: the API server has not answered yet. */
export type SessionState = 'unknown' | 'setup-needed' | 'logged-out' | 'logged-in'

export const useSessionStore = defineStore('session', () => {
  const state = ref<SessionState>('unknown')
  const user = shallowRef<User | null>(null)
  /** The name of the OpenID provider; `null` if none is configured. */
  const oidcName = ref<string | null>(null)

  const isLoggedIn = computed(() => state.value === 'logged-in')
  const isAdmin = computed(() => hasRole('admin'))

  function hasRole(role: Role): boolean {
    return user.value !== null && ROLES.indexOf(user.value.role) >= ROLES.indexOf(role)
  }

  function begin(login: Login): void {
    user.value = login.user
    state.value = 'logged-in'
  }

  /** Resumes the last session if its cookie is still there; otherwise asks whether Bongsu has been set up. */
  async function start(): Promise<void> {
    if (state.value !== 'unknown') return
    if (!api.mayRefresh()) return checkSetup()
    try {
      begin(await api.refresh())
    }
    catch (error) {
      if (api.isRefusal(error)) await checkSetup()
    }
  }

  async function checkSetup(): Promise<void> {
    const setup = await api.fetchSetup()
    oidcName.value = setup.oidc
    state.value = setup.needed ? 'setup-needed' : 'logged-out'
  }

  async function logIn(email: string, password: string, code: string): Promise<void> {
    begin(await api.logIn({ email, password, code }))
  }

  async function createFirstUser(token: string, email: string, name: string, password: string): Promise<void> {
    begin(await api.finishSetup({ token, email, name, password }))
  }

  /** Forgets the user: they logged out, or the API server ended the session. */
  function end(): void {
    user.value = null
    if (state.value === 'logged-in') state.value = 'logged-out'
  }

  async function logOut(): Promise<void> {
    try {
      await api.logOut()
    }
    finally {
      end()
    }
  }

  return { state, user, oidcName, isLoggedIn, isAdmin, hasRole, start, checkSetup, logIn, createFirstUser, end, logOut }
})
