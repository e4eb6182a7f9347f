// What the forms of dashboards must hold. The limits are the API's.
import { array, forward, object, partialCheck, pipe, string } from 'valibot'
import { MAX_NAME_LENGTH } from '~/api/users'
import type { Field } from '~/widgets/kinds'
import type { Translate } from './forms'
import { MOST_CHARACTERS, checkedField, listField, matchingField, needed, numberField, secretField, textField, zoneField } from './forms'
import { splitList } from './lists'

export const MOST_VARIABLES = 10
export const MOST_THRESHOLDS = 10
/** Of a link. */
export const SHORTEST_PASSWORD = 8
const MOST_OF_TITLE = 100
const MOST_OF_TEXT = 200
const MOST_OF_MARKDOWN = 20_000
const VARIABLE = /^[a-z][a-z0-9_]{0,31}$/
const ADDRESS = /^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$/
const ORIGIN = /^https?:\/\/(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?$/

export function settingsSchema(t: Translate) {
  const variable = object({ name: needed(t, matchingField(VARIABLE, t('wrong.variable'))), type: string(), of: textField(t, MOST_OF_TEXT), values: listField(t, 100, MOST_OF_TEXT) })
  return object({
    title: needed(t, textField(t, MOST_OF_TITLE)),
    description: textField(t, MOST_CHARACTERS),
    tags: listField(t, 10, 50),
    variables: array(pipe(variable, forward(partialCheck([['type'], ['of']], ({ type, of }) => type === 'server' || of.trim() !== '', t('wrong.empty')), ['of']))),
  })
}

/** The form of a widget with these fields; each is named after its key, and those that choose servers `names`, `tags` and `labels`. */
export function widgetSchema<C>(t: Translate, fields: readonly Field<C>[]) {
  const servers = { names: listField(t, 100, MOST_OF_TEXT), tags: listField(t, 20, MOST_OF_TEXT) }
  const entries = fields.map((field) => {
    switch (field.kind) {
      case 'source': return { ...servers, labels: listField(t, 20, MOST_OF_TEXT) }
      case 'servers': return servers
      case 'thresholds': return { thresholds: array(object({ value: needed(t, numberField(t)) })) }
      case 'number': return { [field.key]: numberField(t, field.whole ? { least: 1, most: field.most, whole: true } : {}) }
      case 'text': return { [field.key]: field.long ? textField(t, MOST_OF_MARKDOWN) : zoneField(t) }
      default: return {}
    }
  })
  return object({ title: textField(t, MOST_OF_TITLE), ...Object.assign({}, ...entries) as object })
}

/** The sites that a link may be embedded in. */
export const originsOf = (sites: string): string[] => splitList(sites).map(origin => origin.toLowerCase().replace(/\/+$/, ''))

export function linkSchema(t: Translate, kind: 'link' | 'status') {
  return object({
    name: needed(t, textField(t, MAX_NAME_LENGTH)),
    ...(kind === 'status' ? { address: needed(t, matchingField(ADDRESS, t('wrong.address'))) } : {}),
    password: secretField(t, SHORTEST_PASSWORD),
    origins: pipe(listField(t, 20, 255), checkedField(sites => originsOf(sites).every(site => ORIGIN.test(site)), t('wrong.sites'))),
  })
}
