import { mayRefresh } from '~/api/session'
import { localPath } from '~/utils/paths'

const LOGIN = '/login'
const SETUP = '/setup'
/** Whoever has the link may see them. */
const SHARED_PAGES = /^\/(shared|status)\//
const ADMIN_PAGES = /^\/(users|audit|agents|health)(\/|$)/

/** Sends users who are not logged in to the login page, which sends them back to the page they asked for. */
export default defineNuxtRouteMiddleware(async (to) => {
  if (SHARED_PAGES.test(to.path)) return
  const session = useSessionStore()
  // The code of the page comes while the API server answers, instead of after it.
  if (session.state === 'unknown' && mayRefresh()) {
    void preloadRouteComponents(to)
    void import('~/layouts/default.vue').catch(() => {})
  }
  await session.start().catch(() => null)
  // No answer yet: the layout reports that the API server is unreachable, and keeps trying.
  if (session.state === 'unknown') return
  if (session.state === 'setup-needed') return to.path === SETUP ? undefined : navigateTo({ path: SETUP, hash: to.hash })
  if (session.state === 'logged-out' && to.path !== LOGIN) {
    return navigateTo({ path: LOGIN, query: to.path === '/' || to.path === SETUP ? {} : { next: to.fullPath } })
  }
  if (session.isLoggedIn && (to.path === LOGIN || to.path === SETUP)) return navigateTo(localPath(to.query.next))
  if (ADMIN_PAGES.test(to.path) && !session.isAdmin) return navigateTo('/')
})
