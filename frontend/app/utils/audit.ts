import type { AuditEntry } from '~/api/audit'

/**
 * The changed fields of an entry, such as `role: viewer → admin`; a field that was only added or removed has one value.
 * `time`: writes Unix milliseconds, which fields named `..._ms` have; 0 stands for never.
 */
export function changesOf({ before, after }: Pick<AuditEntry, 'before' | 'after'>, time: (timeMs: number) => string): string[] {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  return fields.map((field) => {
    const oldText = fieldText(field, before?.[field], time)
    const newText = fieldText(field, after?.[field], time)
    return oldText && newText ? `${field}: ${oldText} → ${newText}` : `${field}: ${newText || oldText}`
  })
}

function fieldText(field: string, value: unknown, time: (timeMs: number) => string): string {
  if (value === undefined) return ''
  if (field.endsWith('_ms') && typeof value === 'number' && value > 0) return time(value)
  return typeof value === 'string' ? value : JSON.stringify(value)
}
