import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { LANGUAGES } from '~/utils/languages'
import { FAMILIES, VIEWS } from '~/utils/views'

const APP = fileURLToPath(new URL('../../app', import.meta.url))

type Tree = { [key: string]: string | Tree }

function flatten(tree: Tree, prefix = ''): Map<string, string> {
  const texts = new Map<string, string>()
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') texts.set(prefix + key, value)
    else for (const [inner, text] of flatten(value, `${prefix}${key}.`)) texts.set(inner, text)
  }
  return texts
}

const LOCALES = fileURLToPath(new URL('../../i18n/locales', import.meta.url))
const texts = new Map(LANGUAGES.map(({ code }) => [code, flatten(JSON.parse(readFileSync(`${LOCALES}/${code}.json`, 'utf8')) as Tree)]))
const english = texts.get('en')!
const translated = LANGUAGES.map(({ code }) => code).filter(code => code !== 'en')
const placeholders = (text: string) => [...new Set(text.match(/\{[^}]+\}/g))].sort()
const forms = (text: string) => text.split(' | ').length
const ONE_FORM = ['ja', 'ko', 'zh-CN']
// Longer texts that are written as in English: names, shared words, examples of what to type, and what others say in their own words.
const SAME_AS_ENGLISH = [
  'Agent {version}', 'STARTTLS', 'Webhook URL', 'Notifications', 'Server: {name}, {state}', 'https://hooks.slack.com/services/…', 'https://discord.com/api/webhooks/…', '{answer}',
]

const source = readdirSync(APP, { recursive: true, encoding: 'utf8' })
  .filter(file => /\.(vue|ts)$/.test(file) && !file.startsWith('api/'))
  .map(file => readFileSync(`${APP}/${file}`, 'utf8')).join('\n')
const literal = new Set([...source.matchAll(/\bt\('([^']+)'/g)].map(match => match[1]!))
// A key such as t(`state.${name}`) uses every key of that form.
const patterns = [...source.matchAll(/\bt\(`([^`]+)`/g)].map(match => new RegExp(`^${match[1]!.replace(/\./g, '\\.').replace(/\$\{[^}]+\}/g, '[^.]+')}$`))

it('has one file per language', () => {
  expect(readdirSync(LOCALES).filter(file => file !== 'en-XA.json').sort()).toEqual(LANGUAGES.map(({ code }) => `${code}.json`).sort())
})

it.each(translated)('has the keys of English, in their order, in %s', (code) => {
  expect([...texts.get(code)!.keys()]).toEqual([...english.keys()])
})

it('has every key that the code uses', () => {
  expect([...literal].filter(key => !english.has(key))).toEqual([])
  expect(patterns.filter(pattern => ![...english.keys()].some(key => pattern.test(key)))).toEqual([])
})

it('has no unused keys', () => {
  expect([...english.keys()].filter(key => !literal.has(key) && !patterns.some(pattern => pattern.test(key)))).toEqual([])
})

it.each(translated)('has the placeholders of English in %s', (code) => {
  expect([...texts.get(code)!].filter(([key, text]) => placeholders(text).join() !== placeholders(english.get(key)!).join())).toEqual([])
})

it.each(translated)('has the plural forms of the language in %s', (code) => {
  const wanted = (key: string) => (ONE_FORM.includes(code) ? 1 : forms(english.get(key)!))
  expect([...texts.get(code)!].filter(([key, text]) => forms(text) !== wanted(key))).toEqual([])
})

// In Korean, Japanese and Chinese even a short text has no reason to be English; other languages share words such as "Session".
it.each(translated)('is not English by accident in %s', (code) => {
  const longest = ONE_FORM.includes(code) ? 7 : 12
  expect([...texts.get(code)!].filter(([key, text]) => text.length > longest && text === english.get(key) && !SAME_AS_ENGLISH.includes(text))).toEqual([])
})

it('has a name for every metric and view that a chart can show', () => {
  // These series are named after a label: the mount point, the core, the mode.
  const byLabel = new Set(['filesystem_usage_ratio', 'cpu_core_usage_ratio', 'cpu_time_seconds_total'])
  for (const family of FAMILIES) {
    for (const view of VIEWS[family]) {
      expect(english.has(`view.${family}.${view.id}`), view.id).toBe(true)
      for (const metric of view.metrics) if (!byLabel.has(metric)) expect(english.has(`metric.${metric}`), metric).toBe(true)
    }
  }
})
