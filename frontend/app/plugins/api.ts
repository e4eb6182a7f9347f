import { configureClient } from '~/api/client'
import { configureSession } from '~/api/session'

export default defineNuxtPlugin(() => {
  configureClient(useSite().url)
  configureSession(() => {
    const session = useSessionStore()
    const wasLoggedIn = session.isLoggedIn
    session.end()
    // After logging in again the user returns to this page.
    if (wasLoggedIn) void navigateTo({ path: '/login', query: { next: useRouter().currentRoute.value.fullPath } })
  })
})
