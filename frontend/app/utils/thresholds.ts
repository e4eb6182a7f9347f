// The thresholds of rules, as lines in a chart.
import type { Rule, RuleInfo } from '~/api/rules'
import type { Server } from '~/api/servers'
import { matchesPattern } from './patterns'

export interface ThresholdLine {
  /** In the base unit of the metric; of a counter, per second. */
  value: number
  severity: 'critical' | 'warning' | 'info'
  rule: string
}

// The others do not have the unit of what a chart draws.
const DRAWN = new Set(['avg', 'min', 'max', 'last', 'rate'])

/** The thresholds of the enabled rules that watch a metric, and cover a server if one is given. */
export function thresholdLines(rules: readonly RuleInfo[], metric: string, server: Server | null): ThresholdLine[] {
  return rules.flatMap(({ rule }) => {
    const { condition } = rule
    if (rule.enabled === false || condition.type !== 'threshold' || condition.metric !== metric || condition.per) return []
    if (!DRAWN.has(condition.function ?? 'avg') || (server && !coversServer(rule.scope, server))) return []
    return [{ value: condition.value, severity: rule.severity ?? 'warning', rule: rule.name }]
  })
}

/** As the API server decides it: all criteria that are set must match, and the case of names does not matter. */
export function coversServer(scope: Rule['scope'], server: Server): boolean {
  const { servers = [], names = [], without_names: without = [], tags = {} } = scope ?? {}
  const isNamed = (pattern: string) => matchesPattern(pattern.toLowerCase(), server.name.toLowerCase())
  return (servers.length === 0 || servers.includes(server.id))
    && (names.length === 0 || names.some(isNamed))
    && !without.some(isNamed)
    && Object.entries(tags).every(([tag, pattern]) => server.tags[tag] !== undefined && matchesPattern(pattern, server.tags[tag]))
}
