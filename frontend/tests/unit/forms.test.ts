import { safeParse } from 'valibot'
import type { GenericSchema } from 'valibot'
import { describe, expect, it } from 'vitest'
import type { ChannelField } from '~/api/channels'
import { channelSchema } from '~/utils/channels'
import { linkSchema, settingsSchema, widgetSchema } from '~/utils/dashboardForms'
import { choiceField, durationField, emailField, listField, needed, numberField, secretField, tagsField, textField, timeField, zoneField } from '~/utils/forms'
import { newRule, ruleSchema } from '~/utils/rules'
import { newSilence, silenceSchema } from '~/utils/silences'
import type { Field } from '~/widgets/kinds'

const t = (key: string, values?: Record<string, unknown>) => [key, ...Object.values(values ?? {})].join(' ')

/** What is wrong: path of a field -> its first message. */
function wrong(schema: GenericSchema, state: unknown): Record<string, string> {
  const found: Record<string, string> = {}
  for (const { path, message } of safeParse(schema, state).issues ?? []) found[path?.map(({ key }) => String(key)).join('.') ?? ''] ??= message
  return found
}

describe('a field', () => {
  it.each<[string, GenericSchema, string[], Record<string, string>]>([
    ['text', textField(t, 3), ['', 'abc', ' abc '], { abcd: 'wrong.long 3' }],
    ['needed text', needed(t, textField(t, 3)), ['abc'], { '': 'wrong.empty', ' ': 'wrong.empty', 'abcd': 'wrong.long 3' }],
    ['secret', secretField(t, 3), ['', '   ', 'abc'], { ab: 'wrong.short 3', ['a'.repeat(1_001)]: 'wrong.long 1000' }],
    ['email', emailField(t), ['', 'a@b.c', 'admin@localhost'], { 'a': 'wrong.email', 'a@b@c': 'wrong.email', 'a b@c': 'wrong.email', [`${'a'.repeat(254)}@b`]: 'wrong.long 254' }],
    ['duration', durationField(t), ['', '5m', '1.5h', '500ms', ' 2 w '], { '5': 'wrong.duration', 'm': 'wrong.duration', '1h30m': 'wrong.duration', '-5m': 'wrong.duration', '5 x': 'wrong.duration' }],
    ['duration within limits', durationField(t, { least: '1m', most: '7d' }), ['', '1m', '60s', '1w'], { '59s': 'wrong.range 1m 7d', '8d': 'wrong.range 1m 7d', 'soon': 'wrong.duration' }],
    ['number', numberField(t), ['', '0', '-1.5', '1e9'], { 'much': 'wrong.number', '0,9': 'wrong.number', 'Infinity': 'wrong.number' }],
    ['whole number', numberField(t, { least: 1, most: 50, whole: true }), ['', '1', '50'], { '0': 'wrong.low 1', '51': 'wrong.high 50', '1.5': 'wrong.whole', 'x': 'wrong.number' }],
    ['list', listField(t, 2, 3), ['', 'a, b', 'abc,,'], { 'a,b,c': 'wrong.many 2', 'a,bcde': 'wrong.longEach 3' }],
    ['tags', tagsField(t, 2), ['', 'a=b', 'a=b, c=d'], { 'a': 'tags.wrong', '=b': 'tags.wrong', 'a=1,b=2,c=3': 'wrong.many 2' }],
    ['time zone', zoneField(t), ['', 'UTC', 'Asia/Seoul'], { 'Mars/Base': 'wrong.zone' }],
    ['time', timeField(t), ['2026-01-02T03:04', '2026-01-02T03:04:05'], { '2026-01-02': 'wrong.time' }],
  ])('of the kind %s says what is wrong', (_, schema, right, mistakes) => {
    for (const value of right) expect(wrong(schema, value), value).toEqual({})
    for (const [value, message] of Object.entries(mistakes)) expect(wrong(schema, value), value).toEqual({ '': message })
  })

  it('of boxes needs one', () => {
    expect(wrong(choiceField(t), ['a'])).toEqual({})
    expect(wrong(choiceField(t), [])).toEqual({ '': 'wrong.none' })
  })
})

describe('the form of a rule', () => {
  it('needs what its condition needs', () => {
    expect(wrong(ruleSchema(t, 'threshold'), newRule())).toEqual({ name: 'wrong.empty', metric: 'wrong.empty', value: 'wrong.empty' })
    expect(wrong(ruleSchema(t, 'server_down'), newRule())).toEqual({ name: 'wrong.empty' })
    expect(wrong(ruleSchema(t, 'json'), { ...newRule(), name: 'x' })).toEqual({})
    expect(wrong(ruleSchema(t, 'json'), { ...newRule(), name: 'x', json: '{' })).toEqual({ json: 'rules.wrongJson' })
  })

  it('says what is wrong in each field', () => {
    const form = { ...newRule(), name: 'x'.repeat(101), metric: 'cpu usage', window: '7h', value: 'much', recovery: 'less', labels: 'core', for: '5', tags: 'web' }
    expect(wrong(ruleSchema(t, 'threshold'), form)).toEqual({
      name: 'wrong.long 100', metric: 'wrong.metric', window: 'wrong.range 1s 6h', value: 'wrong.number', recovery: 'wrong.number', labels: 'tags.wrong', for: 'wrong.duration', tags: 'tags.wrong',
    })
  })
})

it('checks a silence, by when it is', () => {
  const form = newSilence(Date.UTC(2026, 0, 2), 'UTC')
  for (const when of ['now', 'between', 'weekly'] as const) expect(wrong(silenceSchema(t, when), form), when).toEqual({})
  expect(wrong(silenceSchema(t, 'between'), { ...form, to: form.from })).toEqual({ to: 'wrong.order' })
  expect(wrong(silenceSchema(t, 'between'), { ...form, from: '' })).toEqual({ from: 'wrong.empty' })
  expect(wrong(silenceSchema(t, 'weekly'), { ...form, days: [], start: '', duration: '8d', timezone: 'here' })).toEqual({
    days: 'wrong.none', start: 'wrong.empty', duration: 'wrong.range 1m 7d', timezone: 'wrong.zone',
  })
})

it('checks a channel by what the API says of its fields', () => {
  const field = (name: string, kind: ChannelField['kind'], more: Partial<ChannelField> = {}): ChannelField =>
    ({ name, kind, required: false, default: null, choices: [], minimum: null, maximum: null, description: '', ...more })
  const fields = [field('host', 'text', { required: true }), field('port', 'number', { minimum: 1, maximum: 65_535 }), field('verify', 'flag'), field('key', 'secret', { required: true })]
  const values = { host: '', port: '70000', verify: true, key: '' }
  expect(wrong(channelSchema(t, fields, []), { name: '', values })).toEqual({ 'name': 'wrong.empty', 'values.host': 'wrong.empty', 'values.port': 'wrong.high 65535', 'values.key': 'wrong.empty' })
  expect(wrong(channelSchema(t, fields, ['key']), { name: 'x', values: { ...values, host: 'mail', port: '' } })).toEqual({})
})

describe('the forms of dashboards', () => {
  it('check settings and each variable', () => {
    const variable = { name: 'role', type: 'tag', of: 'role', values: '' }
    const form = { title: 'x', description: '', tags: '', variables: [variable, { ...variable, type: 'server', of: '' }] }
    expect(wrong(settingsSchema(t), form)).toEqual({})
    expect(wrong(settingsSchema(t), { ...form, title: '', variables: [variable, { ...variable, name: '1st', of: '' }] })).toEqual({
      'title': 'wrong.empty', 'variables.1.name': 'wrong.variable', 'variables.1.of': 'wrong.empty',
    })
  })

  it('check a widget by its fields', () => {
    const check = (state: object, ...fields: Field<Record<string, unknown>>[]) => wrong(widgetSchema(t, fields), { title: '', names: '', tags: '', labels: '', ...state })
    const count = { kind: 'number', key: 'count', empty: 10, whole: true, most: 50 } as const
    expect(check({ count: '', low: '-1.5', thresholds: [] }, { kind: 'source' }, count, { kind: 'number', key: 'low', empty: null }, { kind: 'thresholds' })).toEqual({})
    expect(check({ title: 'x'.repeat(101), labels: 'x'.repeat(201) }, { kind: 'source' })).toEqual({ title: 'wrong.long 100', labels: 'wrong.longEach 200' })
    expect(check({ names: 'x'.repeat(201) }, { kind: 'servers' })).toEqual({ names: 'wrong.longEach 200' })
    expect(check({ count: '51', thresholds: [{ value: '0.9' }, { value: '' }] }, count, { kind: 'thresholds' })).toEqual({ 'count': 'wrong.high 50', 'thresholds.1.value': 'wrong.empty' })
    expect(check({ zone: 'here' }, { kind: 'text', key: 'zone' })).toEqual({ zone: 'wrong.zone' })
    expect(check({ markdown: 'x'.repeat(20_001) }, { kind: 'text', key: 'markdown', long: true })).toEqual({ markdown: 'wrong.long 20000' })
  })

  it('check a link', () => {
    const form = { name: 'x', address: '', password: '', origins: '' }
    expect(wrong(linkSchema(t, 'link'), { ...form, password: 'long enough', origins: 'https://A.example.com/, http://*.b:8080' })).toEqual({})
    expect(wrong(linkSchema(t, 'status'), { ...form, name: '', password: 'short', origins: 'a.example.com' })).toEqual({
      name: 'wrong.empty', address: 'wrong.empty', password: 'wrong.short 8', origins: 'wrong.sites',
    })
    expect(wrong(linkSchema(t, 'status'), { ...form, address: 'Our service' })).toEqual({ address: 'wrong.address' })
  })
})
