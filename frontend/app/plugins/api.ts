import { configureClient } from '~/api/client'
import { configureSession } from '~/api/session'

export default defineNuxtPlugin(() => {
  configureClient(window.location.origin)
  configureSession(() => {
    const session = useSessionStore()
    const wasIn = session.state === 'in'
    session.ended()
    // Where one was is where one comes back to.
    if (wasIn) void navigateTo({ path: '/login', query: { next: useRouter().currentRoute.value.fullPath } })
  })
})
