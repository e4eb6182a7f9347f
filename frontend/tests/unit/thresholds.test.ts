import { describe, expect, it } from 'vitest'
import type { Rule, RuleInfo } from '~/api/rules'
import type { Server } from '~/api/servers'
import { matchesPattern } from '~/utils/patterns'
import { coversServer, thresholdLines } from '~/utils/thresholds'

describe('shell patterns', () => {
  it.each([
    ['web-*', 'web-01', true], ['web-*', 'my-web-01', false], ['*', '', true], ['db-?', 'db-1', true], ['db-?', 'db-12', false],
    ['db-[12]', 'db-2', true], ['db-[!12]', 'db-2', false], ['db-[!12]', 'db-3', true], ['a.b', 'axb', false], ['a+(b)|^$', 'a+(b)|^$', true], ['[x', '[x', true],
    ['back\\slash', 'back\\slash', true], ['line*end', 'line\nend', true],
  ])('%s on %s: %s', (pattern, text, expected) => expect(matchesPattern(pattern, text)).toBe(expected))
})

const server = { id: 3, name: 'Web-01', tags: { role: 'web', site: 'seoul' } } as unknown as Server

describe('the scope of a rule', () => {
  it.each<[string, Rule['scope'], boolean]>([
    ['nothing', undefined, true],
    ['the id', { servers: [3] }, true],
    ['another id', { servers: [4] }, false],
    ['a name in other letters', { names: ['db-*', 'WEB-*'] }, true],
    ['another name', { names: ['db-*'] }, false],
    ['an excluded name', { names: ['*'], without_names: ['web-0?'] }, false],
    ['all tags', { tags: { role: 'web', site: 's*' } }, true],
    ['a tag that it does not have', { tags: { role: 'web', tier: '*' } }, false],
  ])('%s', (_, scope, expected) => expect(coversServer(scope, server)).toBe(expected))
})

const rule = (name: string, condition: object, more: object = {}): RuleInfo => ({ id: 1, rule: { name, condition: { type: 'threshold', metric: 'm', value: 5, ...condition }, ...more } }) as unknown as RuleInfo

it('draws what has the unit of the chart', () => {
  const rules = [
    rule('usual', {}), rule('highest', { function: 'max', value: 7 }, { severity: 'critical' }), rule('off', {}, { enabled: false }), rule('other', { metric: 'n' }),
    rule('share', { per: 'cpu_cores' }), rule('growth', { function: 'increase' }), rule('down', { type: 'server_down' }), rule('elsewhere', {}, { scope: { names: ['db-*'] } }),
  ]
  expect(thresholdLines(rules, 'm', server)).toEqual([
    { value: 5, severity: 'warning', rule: 'usual' }, { value: 7, severity: 'critical', rule: 'highest' },
  ])
  expect(thresholdLines(rules, 'm', null).map(line => line.rule)).toEqual(['usual', 'highest', 'elsewhere'])
})
