// Which lines of a chart a person has hidden.

export function toggled(hidden: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const keys = new Set(hidden)
  if (!keys.delete(key)) keys.add(key)
  return keys
}

/** Hides all other lines; if they are hidden already, shows all. */
export function isolated(hidden: ReadonlySet<string>, lines: readonly { key: string }[], key: string): ReadonlySet<string> {
  const others = lines.map(line => line.key).filter(other => other !== key)
  return new Set(others.every(other => hidden.has(other)) ? [] : others)
}
