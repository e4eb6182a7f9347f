import { unwrap } from './client'
import * as api from './generated'

export type About = api.GetAboutResponses[200]
export type Package = About['packages'][number]

export const getAbout = (): Promise<About> => unwrap(api.getAbout({ throwOnError: true }))

/** The packages in the dashboard itself; the build writes them. */
export async function listDashboardPackages(): Promise<Package[]> {
  const response = await fetch('/licences.json')
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
  return await response.json() as Package[]
}
