// The pseudo-locale en-XA: English with accents, brackets around each text, and 40 % more of it. What a page shows without brackets is not
// translated, and what is cut off has no room for other languages. Only a browser that asks for en-XA loads it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export type Messages = { [key: string]: string | Messages }

const PLAIN = 'AEIOUYaceinouyz'
const ACCENTED = 'ÀÉÎÕÜÝåçéîñöûýž'
const FILLER = 'ļörém îpsûm đölör sît åmét çönséçtétûr '
const MORE = 0.4
// What vue-i18n reads in a message: placeholders, literals such as {'@'}, and linked messages.
const SYNTAX = /(\{[^}]*\}|@\S+)/

function pseudoForm(form: string): string {
  const accented = form.split(SYNTAX)
    .map((part, index) => (index % 2 ? part : [...part].map(letter => ACCENTED[PLAIN.indexOf(letter)] ?? letter).join('')))
    .join('')
  const more = Math.ceil(form.replaceAll(/\{[^}]*\}/g, '').length * MORE)
  return `⟦${accented} ${FILLER.repeat(Math.ceil(more / FILLER.length)).slice(0, more).trim()}⟧`
}

/** Each plural form of a message gets its own brackets. */
export function pseudo(message: string): string {
  return message.split(' | ').map(pseudoForm).join(' | ')
}

export function pseudoMessages(messages: Messages): Messages {
  return Object.fromEntries(Object.entries(messages).map(([key, value]) => [key, typeof value === 'string' ? pseudo(value) : pseudoMessages(value)]))
}

/** Writes en-XA.json beside en.json. An unchanged file keeps its time, so that make does not build the dashboard again. */
export function writePseudoLocale(): void {
  const path = (code: string) => fileURLToPath(new URL(`./locales/${code}.json`, import.meta.url))
  const text = `${JSON.stringify(pseudoMessages(JSON.parse(readFileSync(path('en'), 'utf8')) as Messages), null, 2)}\n`
  if (!existsSync(path('en-XA')) || readFileSync(path('en-XA'), 'utf8') !== text) writeFileSync(path('en-XA'), text)
}
