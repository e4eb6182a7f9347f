import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { groupsOf } from '../../build/chunks'

const APP = fileURLToPath(new URL('../../app/', import.meta.url))
const LIBRARY = '/node_modules/axios/index.js'
const IMPORTS: Record<string, string[]> = {
  'layouts/default.vue': ['layouts/default.vue?script', 'stores/metrics.ts', 'utils/format.ts', LIBRARY],
  'layouts/default.vue?script': ['stores/metrics.ts'],
  'pages/index.vue': ['components/ui/UiPanel.vue', 'components/fleet/FleetTable.vue', 'components/alert/AlertTitle.vue'],
  'pages/alerts/index.vue': ['components/alert/AlertTitle.vue'],
  'pages/servers/[id].vue': ['components/ui/UiPanel.vue', 'components/metric/MetricCard.vue', 'components/history/HistoryPanel.vue'],
  'components/history/HistoryPanel.vue': ['utils/chart/model.ts', 'utils/families.ts'],
  'utils/chart/model.ts': ['utils/chart/align.ts'],
  // A circle, as modules may be.
  'utils/chart/align.ts': ['utils/chart/model.ts'],
  'pages/metrics.vue': ['utils/chart/model.ts'],
  'pages/login.vue': ['utils/format.ts'],
}

const pathOf = (name: string) => (name === LIBRARY ? name : APP + name)
const modules = {
  getModuleInfo: (id: string) => {
    const name = id.replace(APP, '')
    return { importedIds: (IMPORTS[name] ?? []).map(pathOf), importers: Object.keys(IMPORTS).filter(other => IMPORTS[other]!.includes(name)).map(pathOf) }
  },
}

it('puts what several pages need into one chunk for each kind of page that needs it', () => {
  const groups = Object.fromEntries([...groupsOf(modules)].map(([id, group]) => [id.replace(APP, ''), group]))
  expect(groups).toEqual({
    // The login page needs it, too.
    'utils/format.ts': 'everywhere',
    'stores/metrics.ts': 'layout',
    // The fleet and the page of a server both need it.
    'components/ui/UiPanel.vue': 'layout',
    'utils/chart/model.ts': 'charts',
    'utils/chart/align.ts': 'charts',
    'components/alert/AlertTitle.vue': 'fleet',
  })
})
