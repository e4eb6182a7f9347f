import type { Note } from '~/api/notes'

const SEPARATOR = ' · '

/** Sentences of the API server in the current language. A code that this version does not know is shown in English. */
export function useNoteText() {
  const { t, te } = useI18n()
  const format = useFormat()

  // Words that have translations elsewhere.
  const words: Record<string, string> = { severity: 'events.severity', event: 'alerts.event', kind: 'silences.kind', service: 'channels.type' }

  // The name of a parameter tells how its value is written (`bongsu/alerts/notes.py`).
  function valueOf(name: string, value: string | number): string {
    if (typeof value === 'string') {
      const key = `${words[name]}.${value}`
      return name in words && te(key) ? t(key) : value
    }
    if (name.endsWith('_ms')) return format.exact(value)
    if (name.endsWith('_seconds')) return format.duration(value)
    if (name.endsWith('_bytes')) return format.bytes(value)
    return name.endsWith('_id') || name === 'status' ? String(value) : format.number(value)
  }

  function textOf({ code, parameters, text }: Note): string {
    if (!te(`notes.${code}`)) return text
    const values = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, valueOf(name, value)]))
    return t(`notes.${code}`, values, Number(parameters.count ?? 1))
  }

  /** `otherwise`: what is shown if there are none, because an earlier version of Bongsu stored it. */
  const textsOf = (notes: readonly Note[], otherwise: string): string => notes.map(textOf).join(SEPARATOR) || otherwise

  /** What became of an alert or of an attempt: "held back", "sent, possibly a repeat". */
  function outcomeOf(outcome: string): string {
    const key = outcome.replaceAll(/\W+/g, '_')
    return te(`alerts.outcome.${key}`) ? t(`alerts.outcome.${key}`) : outcome
  }

  return { textOf, textsOf, outcomeOf }
}
