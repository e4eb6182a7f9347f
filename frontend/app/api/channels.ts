import { unwrap } from './client'
import * as api from './generated'

export type Channel = api.ListChannelsResponses[200]['channels'][number]
export type ChannelSettings = Channel['channel']
export type ChannelType = api.ListChannelTypesResponses[200]['types'][number]
export type ChannelField = ChannelType['fields'][number]
export type ChannelTest = api.TestChannelResponses[200]

export const listChannels = async (): Promise<Channel[]> => (await unwrap(api.listChannels({ throwOnError: true }))).channels

export const listChannelTypes = async (): Promise<ChannelType[]> => (await unwrap(api.listChannelTypes({ throwOnError: true }))).types

/** Secret settings that are left out of a channel that exists do not change. */
export const saveChannel = (id: number | null, body: ChannelSettings): Promise<Channel> =>
  (id === null ? unwrap(api.createChannel({ body, throwOnError: true })) : unwrap(api.changeChannel({ path: { id }, body, throwOnError: true })))

export const deleteChannel = (id: number) => unwrap(api.deleteChannel({ path: { id }, throwOnError: true }))

/** Sends a test message now. */
export const testChannel = (id: number): Promise<ChannelTest> => unwrap(api.testChannel({ path: { id }, timeout: 60_000, throwOnError: true }))
