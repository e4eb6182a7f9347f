import { unwrap } from './client'
import * as api from './generated'

export async function fetchVersion(): Promise<string> {
  return (await unwrap(api.getHealth({ throwOnError: true }))).version ?? ''
}
