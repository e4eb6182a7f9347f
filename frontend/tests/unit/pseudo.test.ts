import { expect, it } from 'vitest'
import { pseudo, pseudoMessages } from '../../i18n/pseudo'

it('has brackets, accents and at least 40 % more', () => {
  const text = pseudo('Search servers, pages and metrics')
  expect(text).toMatch(/^⟦Séårçh sérvérs, .+⟧$/)
  expect(text.length).toBeGreaterThanOrEqual(33 * 1.4)
})

it('leaves placeholders, literals, linked messages and plural forms as they are', () => {
  expect(pseudo('{count} core | {count} cores')).toMatch(/^⟦\{count\} çöré \S+⟧ \| ⟦\{count\} çörés \S+⟧$/)
  expect(pseudo('For example Bongsu <bongsu{\'@\'}example.com>')).toContain('böñgsû{\'@\'}éxåmplé.çöm')
  expect(pseudo('See @:menu.health')).toContain(' @:menu.health ')
})

it('keeps the keys', () => {
  expect(Object.keys(pseudoMessages({ state: { up: 'Up' }, title: 'Title' }))).toEqual(['state', 'title'])
})
