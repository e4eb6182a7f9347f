import { createSharedComposable, useMediaQuery, useStorage } from '@vueuse/core'
import { computed, watch } from 'vue'
import type { Theme } from '~/utils/chart/colors'

export type ThemeChoice = 'light' | 'dark' | 'system'

/** public/theme.js sets the theme before the first paint; this keeps it up to date. */
export const useTheme = createSharedComposable(() => {
  const choice = useStorage<ThemeChoice>('bongsu.theme', 'system')
  const systemDark = useMediaQuery('(prefers-color-scheme: dark)')
  const printing = useMediaQuery('print')
  const theme = computed<Theme>(() => {
    // Paper is white.
    if (printing.value) return 'light'
    if (choice.value === 'system') return systemDark.value ? 'dark' : 'light'
    return choice.value
  })
  watch(theme, (value) => {
    document.documentElement.classList.toggle('dark', value === 'dark')
    document.documentElement.classList.toggle('light', value === 'light')
  }, { immediate: true, flush: 'sync' })
  return { choice, theme }
})
