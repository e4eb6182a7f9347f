// Shell patterns, as rules and silences have them: `*`, `?`, `[abc]`, `[!abc]`.

const compiled = new Map<string, RegExp>()

export function matchesPattern(pattern: string, text: string): boolean {
  let expression = compiled.get(pattern)
  if (expression === undefined) {
    expression = new RegExp(`^${pattern.replace(/\[[^\]]+\]|[^[]|\[/g, toExpression)}$`, 's')
    compiled.set(pattern, expression)
  }
  return expression.test(text)
}

function toExpression(part: string): string {
  if (part === '*') return '.*'
  if (part === '?') return '.'
  if (part.length === 1) return part.replace(/[\\^$.|+(){}[\]/-]/, '\\$&')
  const [negation, letters] = part[1] === '!' ? ['^', part.slice(2, -1)] : ['', part.slice(1, -1)]
  return `[${negation}${letters!.replace(/[\\^\]]/g, '\\$&')}]`
}
