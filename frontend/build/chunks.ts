// What the fleet and the page of a server share with other pages would be in 45 chunks of less than 1 KB, one for each set of pages that needs
// the same modules: 8 KB more after gzip, which finds little to repeat in each, and 30 more requests. Here they are in two.
import { fileURLToPath } from 'node:url'

/** Of Rolldown's context of modules, what is used here. */
interface Modules { getModuleInfo: (id: string) => { importedIds: readonly string[], importers: readonly string[] } | null }

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const APP = `${ROOT}app/`
const LAYOUT = `${APP}layouts/default.vue`
const FLEET = `${APP}pages/index.vue`
const SERVER = `${APP}pages/servers/[id].vue`
// On the first page of somebody who is not logged in, nothing else is loaded.
const LOGIN = [`${ROOT}node_modules/nuxt/dist/app/entry.js`, `${APP}pages/login.vue`, `${APP}layouts/plain.vue`]

type Direction = 'importedIds' | 'importers'

/** These modules, and all that lead from or to them. */
function reach(modules: Modules, roots: readonly string[], direction: Direction): Set<string> {
  const found = new Set<string>()
  const waiting = [...roots]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue
    found.add(id)
    waiting.push(...modules.getModuleInfo(id)?.[direction] ?? [])
  }
  return found
}

/** The group of each module that is in one. Pages themselves are in none, since Rolldown gives each a chunk of its own. */
export function groupsOf(modules: Modules): Map<string, string> {
  const needs = (...roots: string[]) => reach(modules, roots, 'importedIds')
  const [login, layout, fleet, server] = [needs(...LOGIN), needs(LAYOUT), needs(FLEET), needs(SERVER)]
  const isElsewhere = (id: string) => [...reach(modules, [id], 'importers')].some(importer => !server.has(importer))
  const groups = new Map<string, string>()
  for (const id of new Set([...layout, ...server])) {
    if (!id.startsWith(APP) || login.has(id) || [LAYOUT, SERVER].some(page => id.startsWith(page))) continue
    if (layout.has(id) || fleet.has(id)) groups.set(id, 'layout')
    else if (isElsewhere(id)) groups.set(id, 'charts')
  }
  return groups
}

let groups: Map<string, string> | null = null

/** The group of a module; `null`: Rolldown decides. */
export const chunkOf = (id: string, modules: Modules): string | null => (groups ??= groupsOf(modules)).get(id) ?? null
