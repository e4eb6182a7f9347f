import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { acknowledgeAlert, listFiring } from '~/api/alerts'
import type { Alert, AlertSeverity } from '~/api/alerts'
import { countAlerts } from '~/utils/fleet'

/** The alerts that fire, most urgent first. */
export const useAlertsStore = defineStore('alerts', () => {
  const firing = shallowRef<readonly Alert[]>([])
  /** Tells none from not fetched yet. */
  const loaded = ref(false)
  const byServer = computed(() => countAlerts(firing.value))
  /** Those that nobody has taken charge of. */
  const open = computed(() => firing.value.filter(alert => alert.acknowledged_ms === null))
  const worst = computed<AlertSeverity | null>(() =>
    (['critical', 'warning', 'info'] as const).find(severity => open.value.some(alert => alert.severity === severity)) ?? null)

  function take(list: readonly Alert[]): void {
    firing.value = list
    loaded.value = true
  }

  async function refresh(): Promise<void> {
    take(await listFiring())
  }

  async function acknowledge(id: number, comment: string): Promise<Alert> {
    const acknowledged = await acknowledgeAlert(id, comment)
    firing.value = firing.value.map(alert => (alert.id === id ? acknowledged : alert))
    return acknowledged
  }

  return { firing, loaded, byServer, open, worst, take, refresh, acknowledge }
})
