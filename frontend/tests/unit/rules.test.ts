import { describe, expect, it } from 'vitest'
import type { Condition, Rule } from '~/api/rules'
import { ConditionSyntaxError, conditionText, newRule, ruleForm, toRule } from '~/utils/rules'
import { TagSyntaxError } from '~/utils/tags'

const MEMORY: Rule = {
  name: 'Memory short', description: 'Almost none is left.', enabled: false, severity: 'critical', priority: 2,
  scope: { servers: [3], names: ['db-*'], tags: { role: 'db' }, without_names: ['db-99'] },
  condition: {
    type: 'threshold', metric: 'memory_left_bytes', per: 'memory_usable_bytes', function: 'min', window: '10m', operator: '<', value: 0.06, recovery: 0.08,
    labels: { node: '0' }, without_labels: { node: '9' }, and: [{ metric: 'memory_left_bytes', operator: '<', value: 4294967296 }],
  },
  for: '5m', recover_for: '1m', no_data: { policy: 'keep', after: '20m' }, channels: ['Pager', 'Mail'], repeat: '1h', group_by: 'server', escalation: [], runbook: 'https://example.com',
}

describe('the form of a rule', () => {
  it('keeps whatever it does not show', () => {
    expect(toRule(ruleForm(MEMORY), MEMORY)).toEqual(MEMORY)
  })

  it.each<Condition>([
    { type: 'server_down', grace: '5m' }, { type: 'no_data', metric: 'load_1m', after: '9m' }, { type: 'forecast', metric: 'filesystem_usage_ratio', value: 0.95 },
    { type: 'change', metric: 'load_1m', value: 2 }, { type: 'promql', query: 'a > 1' }, { type: 'promql', query: 'sum by (server) (a)', operator: '<=', value: 2, recovery: 3 },
  ])('keeps a condition of the type $type', (condition) => {
    const rule: Rule = { ...MEMORY, condition }
    expect(toRule(ruleForm(rule), rule).condition).toEqual(condition)
  })

  it('makes a new threshold', () => {
    const form = { ...newRule(), name: ' CPU ', metric: 'cpu_usage_ratio', value: '0.9', labels: 'core=1*', names: 'web-*, api-*', channels: 'Pager' }
    expect(toRule(form, null)).toEqual({
      name: 'CPU', description: '', severity: 'warning', enabled: true, for: '5m', scope: { names: ['web-*', 'api-*'], tags: {} }, channels: ['Pager'],
      condition: { type: 'threshold', metric: 'cpu_usage_ratio', labels: { core: '1*' }, function: 'avg', window: '5m', operator: '>', value: 0.9, recovery: null },
    })
  })

  it('does not take over parts of a condition of another type', () => {
    const form = { ...ruleForm(MEMORY), condition: 'server_down' as const }
    expect(toRule(form, MEMORY).condition).toEqual({ type: 'server_down' })
    expect(toRule({ ...form, condition: 'json', json: '{"type": "no_data", "metric": "x"}' }, MEMORY).condition).toEqual({ type: 'no_data', metric: 'x' })
  })

  it('says what cannot be read', () => {
    expect(() => toRule({ ...newRule(), condition: 'json', json: '{' }, null)).toThrow(ConditionSyntaxError)
    expect(() => toRule({ ...newRule(), tags: 'web' }, null)).toThrow(TagSyntaxError)
  })
})

it('writes a condition in one line', () => {
  expect(conditionText(MEMORY.condition)).toBe('min(memory_left_bytes{node="0"} / memory_usable_bytes, 10m) < 0.06 and avg(memory_left_bytes, 5m) < 4294967296')
  expect(conditionText({ type: 'server_down' })).toBe('server down')
  expect(conditionText({ type: 'no_data', metric: 'load_1m' })).toBe('no data(load_1m, 5m)')
  expect(conditionText({ type: 'change', metric: 'load_1m', value: 2, labels: { a: 'b' } })).toBe('change(load_1m{a="b"}, 5m, over 1h) > 2')
  expect(conditionText({ type: 'promql', query: 'a > 1' })).toBe('a > 1')
  expect(conditionText({ type: 'promql', query: 'a', value: 0 })).toBe('(a) > 0')
  expect(conditionText({ type: 'forecast', metric: 'filesystem_usage_ratio', value: 1 })).toBe('forecast(filesystem_usage_ratio, from 12h) >= 1')
})
