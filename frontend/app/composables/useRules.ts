import { createSharedComposable } from '@vueuse/core'
import { shallowRef } from 'vue'
import { listRules } from '~/api/rules'
import type { RuleInfo } from '~/api/rules'

/** The rules, for the thresholds in charts: fetched when the first chart appears. Without them, the charts are still right. */
export const useRules = createSharedComposable(() => {
  const rules = shallowRef<readonly RuleInfo[]>([])
  listRules().then((found) => { rules.value = found }, () => {})
  return rules
})
