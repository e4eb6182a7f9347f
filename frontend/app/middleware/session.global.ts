import { localPath } from '~/utils/paths'

const OUTSIDE = new Set(['/login', '/setup'])
const FOR_ADMINS = /^\/(users|audit)(\/|$)/

/** Who is not logged in sees the login page, and comes back to where they wanted to go. */
export default defineNuxtRouteMiddleware(async (to) => {
  const session = useSessionStore()
  await session.start().catch(() => null)
  // No answer yet: the page says that the API server is away, and tries again.
  if (session.state === 'unknown') return
  if (session.state === 'setup') return to.path === '/setup' ? undefined : navigateTo({ path: '/setup', hash: to.hash })
  if (session.state === 'out' && to.path !== '/login') return navigateTo({ path: '/login', query: to.path === '/' || to.path === '/setup' ? {} : { next: to.fullPath } })
  if (session.state === 'in' && OUTSIDE.has(to.path)) return navigateTo(localPath(to.query.next))
  if (FOR_ADMINS.test(to.path) && !session.isAdmin) return navigateTo('/')
})
