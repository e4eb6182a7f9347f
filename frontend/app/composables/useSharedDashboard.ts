import { useDocumentVisibility } from '@vueuse/core'
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { ApiError } from '~/api/client'
import type { Alert } from '~/api/alerts'
import type { Server } from '~/api/servers'
import { fetchShared, fetchSharedHistory, fetchSharedPresent, unlockShared } from '~/api/shared'
import type { SharedDashboard, SharedPresent } from '~/api/shared'
import { REFRESH_MS } from '~/utils/dashboards'
import { Poller } from '~/utils/poller'
import { DAY_MS, SECOND_MS } from '~/utils/units'
import type { SharedValues } from './useDashboard'

// As often as the API server makes new answers, or half as often.
const POLL_MS = 10 * SECOND_MS
const POINTS_STEP = 50
// Kept in this tab only. Within another site a browser may refuse even that: the password is then asked for again.
const passKey = (key: string) => `bongsu.pass.${key}`

function keptPass(key: string): string {
  try {
    return sessionStorage.getItem(passKey(key)) ?? ''
  }
  catch {
    return ''
  }
}

function keepPass(key: string, pass: string): void {
  try {
    sessionStorage.setItem(passKey(key), pass)
  }
  catch { /* see above */ }
}

/** A dashboard that is shared by link: its document, then what it shows, until the link ends. */
export function useSharedDashboard(key: string) {
  const errorText = useErrorText()
  const servers = useServersStore()
  const alerts = useAlertsStore()

  const document = shallowRef<SharedDashboard | null>(null)
  const present = shallowRef<SharedPresent | null>(null)
  const state = ref<'loading' | 'locked' | 'gone' | 'failed' | 'shown'>('loading')
  const error = ref('')
  const range = ref('')
  let pass = keptPass(key)

  /** What ends a link ends what is open of it. */
  function fail(cause: unknown): void {
    const code = cause instanceof ApiError ? cause.code : ''
    if (code === 'unknown_share' || code === 'password_needed') {
      state.value = code === 'unknown_share' ? 'gone' : 'locked'
      document.value = present.value = null
      poller.stop()
      return
    }
    error.value = errorText(cause)
    if (state.value === 'loading') state.value = 'failed'
  }

  async function open(): Promise<void> {
    state.value = 'loading'
    error.value = ''
    try {
      document.value = await fetchShared(key, pass)
      range.value ||= document.value.dashboard.range ?? '1h'
      state.value = 'shown'
      poller.start()
    }
    catch (cause) {
      fail(cause)
    }
  }

  async function unlock(password: string): Promise<void> {
    pass = (await unlockShared(key, password)).token
    keepPass(key, pass)
    await open()
  }

  async function load(): Promise<void> {
    try {
      const found = await fetchSharedPresent(key, pass)
      servers.apply(found.servers.map(asServer))
      alerts.take(found.alerts.map(asAlert))
      present.value = found
      error.value = ''
    }
    catch (cause) {
      fail(cause)
      throw cause
    }
  }

  const poller = new Poller({
    task: load,
    delayMs: () => REFRESH_MS[document.value?.dashboard.refresh ?? 'live'] ?? POLL_MS,
    onSuccess: () => {
      if (document.value?.dashboard.refresh === 'off') poller.stop()
    },
  })
  onScopeDispose(() => poller.stop())
  // Nobody looks at a hidden page.
  watch(useDocumentVisibility(), (visibility) => {
    if (visibility === 'hidden') poller.stop()
    else if (state.value === 'shown' && document.value?.dashboard.refresh !== 'off') poller.start()
  })

  const values: SharedValues = {
    present, error,
    load: () => load().catch(() => {}),
    history: async (widget, points, earlierMs, signal) => {
      try {
        const rounded = Math.min(500, Math.ceil(points / POINTS_STEP) * POINTS_STEP)
        return await fetchSharedHistory(key, pass, { widget, range: range.value, points: rounded, before: earlierMs / DAY_MS }, signal)
      }
      catch (cause) {
        if (cause instanceof ApiError && (cause.code === 'unknown_share' || cause.code === 'password_needed')) fail(cause)
        throw cause
      }
    },
  }
  const updatedMs = computed(() => present.value?.time_ms ?? null)
  return { document, present, state, error, range, values, updatedMs, open, unlock }
}

/** With nothing that is not shared. */
function asServer({ id, name, state, interval_ms }: SharedPresent['servers'][number]): Server {
  return { id, name, state, interval_ms, tags: {}, own_tags: {} } as unknown as Server
}

function asAlert(alert: SharedPresent['alerts'][number]): Alert {
  return { ...alert, state: 'firing', acknowledged_ms: null, no_data: false, flapping: false } as unknown as Alert
}
