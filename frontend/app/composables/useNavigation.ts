import { computed } from 'vue'

/** `wide`: only where there is room; small screens have another way there. */
export interface NavigationEntry { to: string, icon: string, label: string, wide?: boolean }

/** Where people can go; some of the settings are for admins only. */
export function useNavigation() {
  const session = useSessionStore()
  const servers = useServersStore()
  const route = useRoute()
  const { t } = useI18n()

  const main = computed<NavigationEntry[]>(() => [
    { to: '/', icon: 'i-lucide-server', label: t('nav.servers') },
    { to: '/containers', icon: 'i-lucide-box', label: t('nav.containers'), wide: true },
    ...(servers.servers.some(server => server.kubernetes) ? [{ to: '/kubernetes', icon: 'i-lucide-box', label: 'Kubernetes', wide: true }] : []),
    { to: '/dashboards', icon: 'i-lucide-layout-dashboard', label: t('nav.dashboards') },
    { to: '/metrics', icon: 'i-lucide-chart-line', label: t('nav.metrics') },
    { to: '/alerts', icon: 'i-lucide-bell', label: t('nav.alerts') },
  ])
  const settings = computed<NavigationEntry[]>(() => [
    { to: '/account', icon: 'i-lucide-user-round', label: t('menu.account') },
    { to: '/tokens', icon: 'i-lucide-key-round', label: t('menu.tokens') },
    ...(session.isAdmin
      ? [
          { to: '/agents', icon: 'i-lucide-hard-drive-download', label: t('menu.agents') },
          { to: '/users', icon: 'i-lucide-users-round', label: t('menu.users') },
          { to: '/audit', icon: 'i-lucide-scroll-text', label: t('menu.audit') },
          { to: '/storage', icon: 'i-lucide-database', label: t('menu.storage') },
          { to: '/health', icon: 'i-lucide-heart-pulse', label: t('menu.health') },
        ]
      : []),
    { to: '/about', icon: 'i-lucide-info', label: t('menu.about') },
  ])

  /** Whether a page, or one below it, is open. The page of a server is below the list of servers. */
  function isCurrent(to: string): boolean {
    if (to === '/') return route.path === '/' || route.path.startsWith('/servers/')
    return route.path === to || route.path.startsWith(`${to}/`)
  }
  const isSettings = computed(() => route.path === '/settings' || settings.value.some(entry => isCurrent(entry.to)))

  return { main, settings, isCurrent, isSettings }
}
