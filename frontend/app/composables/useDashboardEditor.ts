import { computed, ref, shallowRef, triggerRef } from 'vue'
import type { Ref } from 'vue'
import { toApiError } from '~/api/client'
import { saveDashboard } from '~/api/dashboards'
import type { Dashboard, DashboardInfo, Widget } from '~/api/dashboards'
import { MOST_WIDGETS, Steps, freeId, freePlace } from '~/utils/dashboards'
import type { Place } from '~/utils/dashboards'

/** A dashboard that is being changed: each change is a step that can be taken back, until all of it is saved. */
export function useDashboardEditor(info: Ref<DashboardInfo | null>) {
  const { busy, error, run } = useTask()
  /** `null`: nothing is being changed. */
  const steps = shallowRef<Steps | null>(null)
  /** Who has saved it meanwhile, as the API server says it; and the revision that this would overwrite. */
  const conflict = ref<{ message: string, revision: number } | null>(null)

  const isEditing = computed(() => steps.value !== null)
  const draft = computed(() => steps.value?.present ?? null)
  const canUndo = computed(() => steps.value?.canUndo ?? false)
  const canRedo = computed(() => steps.value?.canRedo ?? false)
  const isChanged = computed(() => canUndo.value || canRedo.value)

  function begin(): void {
    if (info.value) steps.value = new Steps(info.value.dashboard)
    conflict.value = null
  }

  function end(): void {
    steps.value = null
    conflict.value = null
    error.value = ''
  }

  function change(next: Dashboard): void {
    steps.value?.push(next)
    triggerRef(steps)
  }

  function undo(): void {
    steps.value?.undo()
    triggerRef(steps)
  }

  function redo(): void {
    steps.value?.redo()
    triggerRef(steps)
  }

  const setWidgets = (widgets: Widget[]) => draft.value && change({ ...draft.value, widgets })
  const widgets = computed<Widget[]>(() => draft.value?.widgets ?? [])

  /** Adds a widget, or puts it in the place of the one with its id. */
  function put(widget: Widget): void {
    const known = widgets.value.some(({ id }) => id === widget.id)
    setWidgets(known ? widgets.value.map(other => (other.id === widget.id ? widget : other)) : [...widgets.value, widget])
  }

  const remove = (widget: Widget) => setWidgets(widgets.value.filter(({ id }) => id !== widget.id))

  function copy(widget: Widget): void {
    if (!draft.value || widgets.value.length >= MOST_WIDGETS) return
    const { w, h } = widget.place
    put({ ...widget, id: freeId(draft.value, widget.type), place: freePlace(draft.value, w, h), phone: null })
  }

  function place(places: ReadonlyMap<string, Place>): void {
    setWidgets(widgets.value.map(widget => ({ ...widget, place: places.get(widget.id) ?? widget.place })))
  }

  /** Changes the order of a phone, of which the wide layout knows nothing. */
  function placeOnPhone(places: ReadonlyMap<string, NonNullable<Widget['phone']>>): void {
    setWidgets(widgets.value.map(widget => ({ ...widget, phone: places.get(widget.id) ?? widget.phone })))
  }

  /** `over`: also if somebody has saved another revision meanwhile. */
  async function save(over = false): Promise<boolean> {
    const { value: present } = draft
    const { value: before } = info
    if (!present || !before) return false
    const revision = over && conflict.value ? conflict.value.revision : before.revision
    conflict.value = null
    const saved = await run(async () => {
      try {
        info.value = await saveDashboard(before.id, present, revision)
      }
      catch (cause) {
        const { code, message, limit } = toApiError(cause)
        if (code !== 'dashboard_changed') throw cause
        conflict.value = { message, revision: limit ?? revision }
      }
    })
    if (!saved || conflict.value) return false
    end()
    return true
  }

  return { isEditing, isChanged, draft, canUndo, canRedo, conflict, busy, error, begin, end, change, undo, redo, put, copy, remove, place, placeOnPhone, save }
}
