import { unwrap } from './client'
import * as api from './generated'

export type Health = api.GetHealthResponses[200]

export const getHealth = (): Promise<Health> => unwrap(api.getHealth({ throwOnError: true }))

export const fetchVersion = async (): Promise<string> => (await getHealth()).version ?? ''
