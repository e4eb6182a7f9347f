// Sentences of the API server, in the language of the reader.
import { mountSuspended } from '@nuxt/test-utils/runtime'
import { expect, it } from 'vitest'
import { defineComponent, h } from 'vue'
import type { Note } from '~/api/notes'

async function texts(notes: readonly Note[], locale: 'en' | 'ko' | 'de' = 'en'): Promise<string> {
  await useNuxtApp().$i18n.setLocale(locale)
  const Sentence = defineComponent({
    setup() {
      const { textsOf } = useNoteText()
      return () => h('p', textsOf(notes, 'The whole sentence in English.'))
    },
  })
  const page = await mountSuspended(Sentence)
  const text = page.text().replaceAll(/\s/g, ' ')
  page.unmount()
  await useNuxtApp().$i18n.setLocale('en')
  return text
}

const note = (code: string, parameters: Note['parameters']): Note => ({ code, parameters, text: `${code} in English` })
const queued = [note('still_fires', { after_seconds: 5_400 }), note('to_channel_with_others', { channel: 'mail', count: 2 })]

it('writes durations and numbers in the language of the reader', async () => {
  expect(await texts(queued)).toBe('It still fires after 1h 30m · To mail, with 2 others in one message')
  expect(await texts(queued, 'ko')).toBe('1시간 30분 후에도 계속 발생 중입니다 · 채널: mail (다른 경보 2건과 한 메시지로)')
})

it('writes times in the language of the reader, ids without grouping', async () => {
  const silenced = [note('silenced', { kind: 'silence', silence_id: 12_345, until_ms: Date.UTC(2026, 6, 31, 3, 12) })]
  expect(await texts(silenced)).toMatch(/^Silence 12345 until .*2026/)
  expect(await texts(silenced, 'de')).toMatch(/^Stummschaltung 12345 bis 31\. Juli 2026/)
})

it('chooses the form by the count', async () => {
  expect(await texts([note('gave_up', { count: 1 })])).toBe('After 1 attempt')
  expect(await texts([note('gave_up', { count: 12 })])).toBe('After 12 attempts')
})

it('translates the words that have translations, and leaves other names', async () => {
  expect(await texts([note('channel_wants_severity', { channel: 'boss', severity: 'critical' })], 'de')).toBe('boss: nimmt nur Alarme ab „kritisch“ an')
  expect(await texts([note('status', { service: 'webhook', status: 1_500 })])).toBe('Webhook answered 1500')
  expect(await texts([note('status', { service: 'Telegram', status: 401 })])).toBe('Telegram answered 401')
})

it('shows in English what it does not know', async () => {
  expect(await texts([note('of_a_newer_version', {}), note('fires', {})])).toBe('of_a_newer_version in English · It fires')
  expect(await texts([])).toBe('The whole sentence in English.')
})

it('takes no name for a part of the sentence', async () => {
  expect(await texts([note('channel_disabled', { channel: '{channel} | @:form.save' })])).toBe('{channel} | @:form.save: it is disabled')
})
