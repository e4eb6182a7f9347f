export class TagSyntaxError extends Error {}

/** Parses `site=seoul, role=db`. Throws TagSyntaxError. */
export function parseTags(text: string): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const part of text.split(',').map(item => item.trim()).filter(Boolean)) {
    const equals = part.indexOf('=')
    if (equals < 1) throw new TagSyntaxError(part)
    tags[part.slice(0, equals).trim()] = part.slice(equals + 1).trim()
  }
  return tags
}

export function formatTags(tags: Record<string, string>): string {
  return Object.entries(tags).map(([name, value]) => `${name}=${value}`).join(', ')
}
