import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import en from '../../i18n/locales/en.json'
import ko from '../../i18n/locales/ko.json'
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

const korean = flatten(ko)
const english = flatten(en)

const source = readdirSync(APP, { recursive: true, encoding: 'utf8' })
  .filter(file => /\.(vue|ts)$/.test(file) && !file.startsWith('api/'))
  .map(file => readFileSync(`${APP}/${file}`, 'utf8')).join('\n')
const literal = new Set([...source.matchAll(/\bt\('([^']+)'/g)].map(match => match[1]!))
// A key such as t(`state.${name}`) uses every key of that form.
const patterns = [...source.matchAll(/\bt\(`([^`]+)`/g)].map(match => new RegExp(`^${match[1]!.replace(/\./g, '\\.').replace(/\$\{[^}]+\}/g, '[^.]+')}$`))

it('has the same keys in both languages', () => {
  expect([...korean.keys()].sort()).toEqual([...english.keys()].sort())
})

it('has every key that the code uses', () => {
  expect([...literal].filter(key => !english.has(key))).toEqual([])
  expect(patterns.filter(pattern => ![...english.keys()].some(key => pattern.test(key)))).toEqual([])
})

it('has no unused keys', () => {
  expect([...english.keys()].filter(key => !literal.has(key) && !patterns.some(pattern => pattern.test(key)))).toEqual([])
})

it('has the same placeholders in both languages', () => {
  const placeholders = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort()
  expect([...english].filter(([key, text]) => placeholders(text).join() !== placeholders(korean.get(key) ?? '').join())).toEqual([])
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
