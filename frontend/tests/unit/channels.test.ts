import { describe, expect, it } from 'vitest'
import type { ChannelField } from '~/api/channels'
import { channelConfig, fieldValues } from '~/utils/channels'

const field = (name: string, kind: ChannelField['kind'], more: Partial<ChannelField> = {}): ChannelField =>
  ({ name, kind, required: false, default: null, choices: [], minimum: null, maximum: null, description: '', ...more })
const FIELDS = [
  field('host', 'text', { required: true }), field('port', 'number', { default: 587 }), field('verify', 'flag', { default: true }),
  field('security', 'choice', { default: 'starttls', choices: ['starttls', 'tls', 'none'] }), field('password', 'secret'), field('to', 'list', { required: true }),
]

describe('the form of a channel', () => {
  it('begins with what is usual', () => {
    expect(fieldValues(FIELDS, {})).toEqual({ host: '', port: '587', verify: true, security: 'starttls', password: '', to: '' })
  })

  it('begins with what is stored, and never with a secret', () => {
    const config = { host: 'mail', port: 25, verify: false, security: 'none', password: '?', to: ['a@b', 'c@d'] }
    expect(fieldValues(FIELDS, config)).toEqual({ host: 'mail', port: '25', verify: false, security: 'none', password: '', to: 'a@b\nc@d' })
  })

  it('says what the API takes, and leaves out a secret that stays', () => {
    const values = { host: ' mail ', port: '25', verify: false, security: 'tls', password: '', to: 'a@b, c@d\n\n e@f ;g@h' }
    expect(channelConfig(FIELDS, values)).toEqual({ host: 'mail', port: 25, verify: false, security: 'tls', to: ['a@b', 'c@d', 'e@f', 'g@h'] })
    expect(channelConfig(FIELDS, { ...values, password: ' pass word ' })).toMatchObject({ password: 'pass word' })
  })

  it('keeps what is stored when nothing is changed', () => {
    const config = { host: 'mail', port: 25, verify: false, security: 'none', to: ['a@b'] }
    expect(channelConfig(FIELDS, fieldValues(FIELDS, config))).toEqual(config)
  })
})
