// The document of a dashboard while it is shown and changed.
import type { Dashboard, Variable, Widget, WidgetSource } from '~/api/dashboards'
import type { HistoryQuery } from '~/api/metrics'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units'

export const COLUMNS = 12
export const MOST_WIDGETS = 60
/** Height of a row of the grid, in pixels. */
export const ROW_PX = 64

export type Place = Widget['place']
/** Variable -> chosen values; none: all. */
export type Choices = Readonly<Record<string, readonly string[]>>
export type Selection = Required<Pick<HistoryQuery, 'name' | 'tag' | 'labels'>>

export const DASHBOARD_RANGES = ['15m', '1h', '6h', '24h', '7d', '30d', '365d'] as const
export const REFRESHES = ['live', '10s', '1m', '5m', 'off'] as const
export type Refresh = typeof REFRESHES[number]
export const REFRESH_MS: Record<Refresh, number | null> = { 'live': null, '10s': 10 * SECOND_MS, '1m': MINUTE_MS, '5m': 5 * MINUTE_MS, 'off': null }

/** Whether it is time for newer values than those that were read this long ago. */
export function isDue(refresh: Refresh, isLive: boolean, agoMs: number): boolean {
  return isLive && refresh !== 'off' && agoMs >= (REFRESH_MS[refresh] ?? 0)
}

const UNITS: Record<string, number> = { m: MINUTE_MS, h: HOUR_MS, d: DAY_MS }

/** The length of a range such as `6h`, in ms. */
export function rangeMs(range: string): number {
  return Number(range.slice(0, -1)) * (UNITS[range.slice(-1)] ?? HOUR_MS)
}

export const emptyDashboard = (title: string): Dashboard => ({ title, format: 1, description: '', tags: [], range: '1h', refresh: 'live', variables: [], widgets: [] })

const widgetsOf = (dashboard: Dashboard): Widget[] => dashboard.widgets ?? []

/** An id that no widget has. */
export function freeId(dashboard: Dashboard, type: string): string {
  const taken = new Set(widgetsOf(dashboard).map(({ id }) => id))
  for (let number = 1; ; number++) if (!taken.has(`${type}-${number}`)) return `${type}-${number}`
}

const overlap = (a: Place, b: Place): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h

/** The first place, from the top left, where a widget of this size fits. */
export function freePlace(dashboard: Dashboard, w: number, h: number): Place {
  const places = widgetsOf(dashboard).map(({ place }) => place)
  for (let y = 0; ; y++) {
    for (let x = 0; x + w <= COLUMNS; x++) {
      const place = { x, y, w, h }
      if (!places.some(other => overlap(place, other))) return place
    }
  }
}

/** Widgets in reading order, which is their order on a phone. */
export function inOrder(widgets: readonly Widget[]): Widget[] {
  return [...widgets].sort((a, b) => a.place.y - b.place.y || a.place.x - b.place.x)
}

/** Widgets for a phone: one below the other. */
export function onPhone(widgets: readonly Widget[]): Widget[] {
  const order = new Map(inOrder(widgets).map(({ id }, index) => [id, index]))
  return widgets.filter(({ phone }) => !phone?.hidden)
    .sort((a, b) => (a.phone?.y ?? order.get(a.id)!) - (b.phone?.y ?? order.get(b.id)!))
}

/** The order, heights and visibility of all widgets on a phone, as they are at present: what an editor for phones changes. */
export function phonePlaces(widgets: readonly Widget[]): Map<string, NonNullable<Widget['phone']>> {
  const order = new Map(inOrder(widgets).map(({ id }, index) => [id, index]))
  const sorted = [...widgets].sort((a, b) => (a.phone?.y ?? order.get(a.id)!) - (b.phone?.y ?? order.get(b.id)!))
  return new Map(sorted.map(({ id, phone, place }, y) => [id, { y, h: phone?.h ?? place.h, hidden: phone?.hidden ?? false }]))
}

/** The place moved or resized by cells, within the grid. */
export function moved({ x, y, w, h }: Place, change: Partial<Place>): Place {
  const width = Math.min(Math.max(1, w + (change.w ?? 0)), COLUMNS)
  return {
    x: Math.min(Math.max(0, x + (change.x ?? 0)), COLUMNS - width),
    y: Math.max(0, y + (change.y ?? 0)),
    w: width,
    h: Math.min(Math.max(1, h + (change.h ?? 0)), 24),
  }
}

/** What is chosen at first, overwritten by the URL (`var-NAME`). */
export function readChoices(variables: readonly Variable[], query: Record<string, unknown>): Choices {
  return Object.fromEntries(variables.map(({ name, values = [], multiple = true }) => {
    const given = query[`var-${name}`]
    const chosen = given === undefined ? values : (Array.isArray(given) ? given : [given]).filter((item): item is string => typeof item === 'string' && item !== '')
    return [name, multiple ? chosen : chosen.slice(0, 1)]
  }))
}

/** The query of the URL for a choice; an empty text stands for all where the document says otherwise. */
export function writeChoice({ name, values = [] }: Variable, chosen: readonly string[]): Record<string, string[] | string | undefined> {
  const usual = chosen.length === values.length && chosen.every(value => values.includes(value))
  return { [`var-${name}`]: usual ? undefined : chosen.length === 0 ? '' : [...chosen] }
}

const VARIABLE = /\$([a-z][a-z0-9_]*)/g

/** A filter such as `role=$role`; `null`: it filters nothing, since nothing is chosen. */
function fillIn(text: string, choices: Choices): string | null {
  let isOpen = false
  const filled = text.replace(VARIABLE, (whole, name: string) => {
    const chosen = choices[name]
    if (chosen === undefined) return whole
    if (chosen.length === 0) isOpen = true
    return chosen.join('|')
  })
  return isOpen ? null : filled
}

/** Which servers and series a source selects, with the variables filled in. */
export function selectionOf(source: Pick<WidgetSource, 'servers' | 'labels'>, choices: Choices): Selection {
  const filters = (texts: readonly string[] = []) => texts.map(text => fillIn(text, choices)).filter(text => text !== null)
  const names = source.servers?.names ?? []
  // Several names are alternatives, so one that stands for all makes the others needless.
  const expanded = names.map(name => (name.startsWith('$') && choices[name.slice(1)] ? choices[name.slice(1)]! : [name]))
  return { name: expanded.some(({ length }) => length === 0) ? [] : expanded.flat(), tag: filters(source.servers?.tags), labels: filters(source.labels) }
}

export const metricsOf = (source: WidgetSource, choices: Choices): string[] => source.metrics.map(metric => fillIn(metric, choices) ?? metric)

export interface DashboardTime {
  rangeMs: number
  /** Absolute times instead of the range until now. */
  between: readonly [fromMs: number, toMs: number] | null
}

/** The request for the history of a source, now or `earlierMs` before. */
export function sourceQuery(source: WidgetSource, choices: Choices, time: DashboardTime, limits: { points: number, lines: number }, earlierMs = 0): HistoryQuery {
  const { between } = time
  return {
    metric: metricsOf(source, choices),
    ...selectionOf(source, choices),
    start: between ? String(Math.round(between[0] - earlierMs)) : `-${(time.rangeMs + earlierMs) / SECOND_MS}s`,
    end: between ? String(Math.round(between[1] - earlierMs)) : earlierMs > 0 ? `-${earlierMs / SECOND_MS}s` : 'now',
    max_points: limits.points,
    limit: limits.lines,
    ...(source.combine && source.combine !== 'none' ? { across: source.combine, group_by: source.by ? [source.by] : [] } : {}),
  }
}

// People take back some steps, not an afternoon.
const MOST_STEPS = 100

/** The states of a document while it is edited: back and forth. */
export class Steps {
  private readonly states: Dashboard[]
  private at = 0

  constructor(first: Dashboard) {
    this.states = [first]
  }

  get present(): Dashboard {
    return this.states[this.at]!
  }

  get canUndo(): boolean {
    return this.at > 0
  }

  get canRedo(): boolean {
    return this.at < this.states.length - 1
  }

  /** A change, after which what was undone is gone. One that changes nothing is no step. */
  push(next: Dashboard): void {
    if (JSON.stringify(next) === JSON.stringify(this.present)) return
    this.states.splice(this.at + 1, Infinity, next)
    if (this.states.length > MOST_STEPS) this.states.shift()
    this.at = this.states.length - 1
  }

  undo(): void {
    if (this.canUndo) this.at--
  }

  redo(): void {
    if (this.canRedo) this.at++
  }
}
