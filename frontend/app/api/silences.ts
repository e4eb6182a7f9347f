import { unwrap } from './client'
import * as api from './generated'

export type SilenceInfo = api.ListSilencesResponses[200]['silences'][number]
export type Silence = SilenceInfo['silence']
export type Weekly = NonNullable<Silence['weekly']>
export type Day = NonNullable<Weekly['days']>[number]

/** Newest first. */
export const listSilences = async (): Promise<SilenceInfo[]> => (await unwrap(api.listSilences({ throwOnError: true }))).silences

export const saveSilence = (id: number | null, body: Silence): Promise<SilenceInfo> =>
  (id === null ? unwrap(api.createSilence({ body, throwOnError: true })) : unwrap(api.changeSilence({ path: { id }, body, throwOnError: true })))

export const deleteSilence = (id: number) => unwrap(api.deleteSilence({ path: { id }, throwOnError: true }))
