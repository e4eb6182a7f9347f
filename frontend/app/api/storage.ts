import { unwrap } from './client'
import * as api from './generated'

export type Storage = api.GetStorageResponses[200]
export type Tier = Storage['tiers'][number]

export const getStorage = (): Promise<Storage> => unwrap(api.getStorage({ timeout: 60_000, throwOnError: true }))
