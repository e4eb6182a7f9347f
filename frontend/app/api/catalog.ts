import { unwrap } from './client'
import * as api from './generated'

export type CatalogMetric = api.GetMetricsCatalogResponses[200]['metrics'][number]

/** Every metric of which anything is stored, of one server or of all. */
export const fetchCatalog = async (serverId?: number): Promise<CatalogMetric[]> =>
  (await unwrap(api.getMetricsCatalog({ query: serverId === undefined ? {} : { server: [serverId] }, throwOnError: true }))).metrics
