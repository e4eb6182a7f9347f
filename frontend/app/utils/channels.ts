// From the settings of a channel to the fields of its form, and back.
import { boolean, object, string } from 'valibot'
import type { ChannelField } from '~/api/channels'
import { MAX_NAME_LENGTH } from '~/api/users'
import type { Translate } from './forms'
import { needed, numberField, textField } from './forms'

/** What a form holds: a checkbox a boolean, everything else text. */
export type FieldValue = string | boolean
export type FieldValues = Record<string, FieldValue>

/** The values that a form begins with. Secrets are never known. */
export function fieldValues(fields: readonly ChannelField[], config: Record<string, unknown>): FieldValues {
  return Object.fromEntries(fields.map(({ name, kind, default: usual }) => {
    const value = config[name] ?? usual
    if (kind === 'flag') return [name, value === true]
    if (kind === 'secret') return [name, '']
    return [name, Array.isArray(value) ? value.join('\n') : String(value ?? '')]
  }))
}

/** The settings that a form says. A secret that is left empty is left out: it stays as it is stored; so is a number: it is as usual. */
export function channelConfig(fields: readonly ChannelField[], values: FieldValues): Record<string, unknown> {
  const config: Record<string, unknown> = {}
  for (const { name, kind } of fields) {
    const value = values[name]
    if (value === undefined || (value === '' && (kind === 'secret' || kind === 'number'))) continue
    if (kind === 'number') config[name] = Number(value)
    else if (kind === 'list') config[name] = String(value).split(/[\n,;]+/).map(item => item.trim()).filter(Boolean)
    else config[name] = typeof value === 'string' ? value.trim() : value
  }
  return config
}

/** What a form must hold. `stored`: the secrets that are set, and may stay. */
export function channelSchema(t: Translate, fields: readonly ChannelField[], stored: readonly string[]) {
  const schemaOf = ({ name, kind, required, minimum, maximum }: ChannelField) => {
    if (kind === 'flag') return boolean()
    const field = kind === 'number' ? numberField(t, { least: minimum ?? undefined, most: maximum ?? undefined, whole: true }) : undefined
    return required && !stored.includes(name) ? needed(t, field) : field ?? string()
  }
  return object({ name: needed(t, textField(t, MAX_NAME_LENGTH)), values: object(Object.fromEntries(fields.map(field => [field.name, schemaOf(field)]))) })
}
