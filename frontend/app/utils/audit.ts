import type { AuditEntry } from '~/api/audit'

/** The changed fields of an entry, such as `role: viewer → admin`; a field that was only added or removed has one value. */
export function changesOf({ before, after }: Pick<AuditEntry, 'before' | 'after'>): string[] {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  return fields.map((field) => {
    const oldText = fieldText(before?.[field])
    const newText = fieldText(after?.[field])
    return oldText && newText ? `${field}: ${oldText} → ${newText}` : `${field}: ${newText || oldText}`
  })
}

function fieldText(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}
