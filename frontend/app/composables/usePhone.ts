import { useMediaQuery } from '@vueuse/core'

/** Whether the screen is narrower than Tailwind's `sm` breakpoint. */
export const usePhone = () => useMediaQuery('(max-width: 639px)')
