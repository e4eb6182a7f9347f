import { inject, provide } from 'vue'
import type { InjectionKey, Ref } from 'vue'
import type { Choices, DashboardTime, Refresh } from '~/utils/dashboards'

/** What the widgets of a dashboard share. */
export interface DashboardContext {
  choices: Readonly<Ref<Choices>>
  time: Readonly<Ref<DashboardTime>>
  refresh: Readonly<Ref<Refresh>>
  /** Whether widgets are to follow time: they are not while it is paused, or shows times of before. */
  isLive: Readonly<Ref<boolean>>
  /** Charts with this key have one crosshair. */
  syncKey: string
  zoom: (fromMs: number, toMs: number) => void
  resetZoom: () => void
}

const KEY: InjectionKey<DashboardContext> = Symbol('dashboard')

export const provideDashboard = (context: DashboardContext): void => provide(KEY, context)

export function useDashboard(): DashboardContext {
  const context = inject(KEY)
  if (!context) throw new Error('A widget is outside of a dashboard.')
  return context
}
