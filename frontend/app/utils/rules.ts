// From a rule to its form, and back; and a condition as one line of text.
import { object } from 'valibot'
import type { Condition, Rule, Threshold } from '~/api/rules'
import { MAX_NAME_LENGTH } from '~/api/users'
import type { Field, Translate } from './forms'
import { MOST_CHARACTERS, MOST_PATTERNS, MOST_SCOPE_TAGS, checkedField, durationField, listField, matchingField, needed, numberField, tagsField, textField } from './forms'
import { formatTags, parseTags } from './tags'

export const FUNCTIONS = ['avg', 'min', 'max', 'last', 'sum', 'increase', 'rate'] as const satisfies readonly NonNullable<Threshold['function']>[]
export const OPERATORS = ['>', '>=', '<', '<='] as const satisfies readonly NonNullable<Threshold['operator']>[]
export const SEVERITIES = ['critical', 'warning', 'info'] as const

/** `json`: any other condition, as it is stored. */
export type ConditionForm = 'threshold' | 'server_down' | 'promql' | 'json'

export interface RuleForm {
  name: string
  description: string
  severity: typeof SEVERITIES[number]
  enabled: boolean
  condition: ConditionForm
  metric: string
  labels: string
  function: typeof FUNCTIONS[number]
  window: string
  operator: typeof OPERATORS[number]
  value: string
  recovery: string
  query: string
  json: string
  for: string
  names: string
  tags: string
  channels: string
}

/** A condition that is no valid JSON. */
export class ConditionSyntaxError extends Error {}

const listOf = (text: string): string[] => text.split(',').map(item => item.trim()).filter(Boolean)

export function newRule(): RuleForm {
  return {
    name: '', description: '', severity: 'warning', enabled: true, condition: 'threshold', metric: '', labels: '', function: 'avg', window: '5m', operator: '>',
    value: '', recovery: '', query: '', json: '{\n  "type": "no_data",\n  "metric": "cpu_usage_ratio",\n  "after": "5m"\n}', for: '5m', names: '', tags: '', channels: '',
  }
}

export function ruleForm(rule: Rule): RuleForm {
  const { condition } = rule
  const form = {
    ...newRule(),
    name: rule.name, description: rule.description ?? '', severity: rule.severity ?? 'warning', enabled: rule.enabled ?? true, for: rule.for ?? '0s',
    names: (rule.scope?.names ?? []).join(', '), tags: formatTags(rule.scope?.tags ?? {}), channels: (rule.channels ?? []).join(', '),
  } satisfies RuleForm
  if (condition.type === 'server_down') return { ...form, condition: 'server_down' }
  if (condition.type === 'promql') {
    return { ...form, condition: 'promql', query: condition.query, operator: condition.operator ?? '>', value: numberText(condition.value), recovery: numberText(condition.recovery) }
  }
  if (condition.type !== 'threshold') return { ...form, condition: 'json', json: JSON.stringify(condition, null, 2) }
  return {
    ...form, condition: 'threshold', metric: condition.metric, labels: formatTags(condition.labels ?? {}), function: condition.function ?? 'avg', window: condition.window ?? '5m',
    operator: condition.operator ?? '>', value: String(condition.value), recovery: numberText(condition.recovery), json: JSON.stringify(condition, null, 2),
  }
}

const numberText = (value: number | null | undefined): string => (value == null ? '' : String(value))
const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text))

/** What is not in the form stays as `before` has it. Throws TagSyntaxError and ConditionSyntaxError. */
export function toRule(form: RuleForm, before: Rule | null): Rule {
  return {
    ...before,
    name: form.name.trim(), description: form.description.trim(), severity: form.severity, enabled: form.enabled, for: form.for.trim() || '0s',
    scope: { ...before?.scope, names: listOf(form.names), tags: parseTags(form.tags) }, channels: listOf(form.channels), condition: toCondition(form, before?.condition ?? null),
  }
}

function toCondition(form: RuleForm, before: Condition | null): Condition {
  if (form.condition === 'server_down') return before?.type === 'server_down' ? before : { type: 'server_down' }
  if (form.condition === 'promql') {
    const value = numberOf(form.value)
    // Operator and recovery need a value.
    return { type: 'promql', query: form.query.trim(), ...(value === null ? {} : { operator: form.operator, value, recovery: numberOf(form.recovery) }) }
  }
  if (form.condition === 'json') {
    try {
      return JSON.parse(form.json) as Condition
    }
    catch {
      throw new ConditionSyntaxError(form.json)
    }
  }
  return {
    ...(before?.type === 'threshold' ? before : {}),
    type: 'threshold', metric: form.metric.trim(), labels: parseTags(form.labels), function: form.function, window: form.window.trim(), operator: form.operator,
    value: Number(form.value), recovery: numberOf(form.recovery),
  }
}

// The API's limits.
const MOST_LABELS = 16
const MOST_CHANNELS = 20
const MOST_QUERY_CHARACTERS = 10_000
const METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,255}$/

/** What the fields that a form shows must hold. */
export function ruleSchema(t: Translate, condition: ConditionForm) {
  const ofCondition: Record<ConditionForm, Record<string, Field>> = {
    threshold: {
      metric: needed(t, matchingField(METRIC, t('wrong.metric'))),
      window: needed(t, durationField(t, { least: '1s', most: '6h' })),
      value: needed(t, numberField(t)),
      recovery: numberField(t),
      labels: tagsField(t, MOST_LABELS),
    },
    json: { json: needed(t, checkedField(isJson, t('rules.wrongJson'))) },
    promql: { query: needed(t, textField(t, MOST_QUERY_CHARACTERS)), value: numberField(t), recovery: numberField(t) },
    server_down: {},
  }
  return object<Record<string, Field>>({
    ...ofCondition[condition],
    name: needed(t, textField(t, MAX_NAME_LENGTH)),
    for: durationField(t),
    channels: listField(t, MOST_CHANNELS, MAX_NAME_LENGTH),
    names: listField(t, MOST_PATTERNS),
    tags: tagsField(t, MOST_SCOPE_TAGS),
    description: textField(t, MOST_CHARACTERS),
  })
}

function isJson(json: string): boolean {
  try {
    JSON.parse(json)
    return true
  }
  catch {
    return false
  }
}

/** One line, such as `avg(cpu_usage_ratio, 5m) > 0.95`, the same in every language. */
export function conditionText(condition: Condition): string {
  switch (condition.type) {
    case 'threshold': return [condition, ...condition.and ?? []].map(comparisonText).join(' and ')
    case 'change': return `change(${condition.metric}${labelsText(condition.labels)}, ${condition.window ?? '5m'}, over ${condition.over ?? '1h'}) ${condition.operator ?? '>'} ${condition.value}`
    case 'forecast': return `forecast(${condition.metric}${labelsText(condition.labels)}, from ${condition.history ?? '12h'}) ${condition.operator ?? '>='} ${condition.value}`
    case 'no_data': return `no data(${condition.metric}${labelsText(condition.labels)}, ${condition.after ?? '5m'})`
    case 'server_down': return 'server down'
    case 'promql': return condition.value == null ? condition.query : `(${condition.query}) ${condition.operator ?? '>'} ${condition.value}`
  }
}

function comparisonText(comparison: Pick<Threshold, 'metric' | 'per' | 'labels' | 'function' | 'window' | 'operator' | 'value'>): string {
  const of = `${comparison.metric}${labelsText(comparison.labels)}${comparison.per ? ` / ${comparison.per}` : ''}`
  return `${comparison.function ?? 'avg'}(${of}, ${comparison.window ?? '5m'}) ${comparison.operator ?? '>'} ${comparison.value}`
}

function labelsText(labels: Record<string, string> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}="${value}"`)
  return pairs.length > 0 ? `{${pairs.join(', ')}}` : ''
}
