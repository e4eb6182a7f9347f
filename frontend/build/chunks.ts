// What the fleet and the page of a server share with other pages would be in 45 chunks of less than 1 KB, one for each set of pages that needs
// the same modules: 8 KB more after gzip, which finds little to repeat in each, and 30 more requests, each of which holds up the first page by
// a millisecond or two. Here they are in four.
import { fileURLToPath } from 'node:url'

/** Of Rolldown's context of modules, what is used here. */
interface Modules { getModuleInfo: (id: string) => { importedIds: readonly string[], importers: readonly string[] } | null }

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const APP = `${ROOT}app/`
const LAYOUT = `${APP}layouts/default.vue`
const FLEET = `${APP}pages/index.vue`
const SERVER = `${APP}pages/servers/[id].vue`
const ENTRY = `${ROOT}node_modules/nuxt/dist/app/entry.js`
// On the first page of somebody who is not logged in, nothing else is loaded.
const LOGIN = [ENTRY, `${APP}pages/login.vue`, `${APP}layouts/plain.vue`]

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
  const [entry, login, layout, fleet, server] = [needs(ENTRY), needs(...LOGIN), needs(LAYOUT), needs(FLEET), needs(SERVER)]
  const isOnlyOf = (page: Set<string>, id: string) => [...reach(modules, [id], 'importers')].every(importer => page.has(importer))
  const groups = new Map<string, string>()
  for (const id of new Set([...layout, ...server, ...fleet])) {
    if (!id.startsWith(APP) || entry.has(id) || [LAYOUT, SERVER, FLEET].some(page => id.startsWith(page))) continue
    if (login.has(id)) {
      if (layout.has(id)) groups.set(id, 'everywhere')
    }
    else if (layout.has(id) || (fleet.has(id) && server.has(id))) groups.set(id, 'layout')
    else if (server.has(id)) {
      if (!isOnlyOf(server, id)) groups.set(id, 'charts')
    }
    else if (!isOnlyOf(fleet, id)) groups.set(id, 'fleet')
  }
  return groups
}

let groups: Map<string, string> | null = null

/** The group of a module; `null`: Rolldown decides. */
export const chunkOf = (id: string, modules: Modules): string | null => (groups ??= groupsOf(modules)).get(id) ?? null
