import { createSharedComposable, useStorage } from '@vueuse/core'
import { computed } from 'vue'
import { isTimeZone } from '~/utils/localTime'

/** The zone in which times are shown; the browser's unless somebody has chosen another. */
export const useTimeZone = createSharedComposable(() => {
  /** Such as `Asia/Seoul`; empty: the browser's. */
  const choice = useStorage('bongsu.zone', '')
  const zone = computed(() => (isTimeZone(choice.value) ? choice.value : undefined))
  return { choice, zone }
})
