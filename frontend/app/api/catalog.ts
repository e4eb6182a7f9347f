import { unwrap } from './client'
import * as api from './generated'

export type CatalogMetric = api.GetMetricsCatalogResponses[200]['metrics'][number]

/** Every metric of a server of which anything is stored. */
export const fetchCatalog = async (serverId: number): Promise<CatalogMetric[]> =>
  (await unwrap(api.getMetricsCatalog({ query: { server: [serverId] }, throwOnError: true }))).metrics
