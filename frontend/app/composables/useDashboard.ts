import { inject, provide } from 'vue'
import type { InjectionKey, Ref } from 'vue'
import type { MetricsHistory } from '~/api/metrics'
import type { SharedPresent } from '~/api/shared'
import type { Choices, DashboardTime, Refresh } from '~/utils/dashboards'

/** Where the widgets of a dashboard that is shared by link have their values from: the API server knows what each selects. */
export interface SharedValues {
  /** `null` until they are there. */
  present: Readonly<Ref<SharedPresent | null>>
  error: Readonly<Ref<string>>
  load: () => Promise<void>
  history: (widgetId: string, points: number, earlierMs: number, signal: AbortSignal) => Promise<MetricsHistory>
}

/** What the widgets of a dashboard share. */
export interface DashboardContext {
  choices: Readonly<Ref<Choices>>
  time: Readonly<Ref<DashboardTime>>
  refresh: Readonly<Ref<Refresh>>
  /** Whether widgets are to follow time: they are not while it is paused, or shows times of before. */
  isLive: Readonly<Ref<boolean>>
  /** Charts with this key have one crosshair. */
  syncKey: string
  /** `null`: somebody is logged in, and may see what the API says. */
  shared: SharedValues | null
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

const WIDGET: InjectionKey<string> = Symbol('widget')

export const provideWidgetId = (id: string): void => provide(WIDGET, id)

/** The id of the widget around. */
export const useWidgetId = (): string => inject(WIDGET, '')
