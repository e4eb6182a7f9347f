import { readFileSync, readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const GENERATED = /^(app\/api\/(generated|proto)|tests\/proto)\//

function allFilesIn(folder: string): string[] {
  return readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' }).filter(path => /\.(vue|ts)$/.test(path)).map(path => `${folder}/${path}`)
}

const filesIn = (folder: string) => allFilesIn(folder).filter(path => !GENERATED.test(path))

const prefixOf = (area: string) => area[0]!.toUpperCase() + area.slice(1)

/** What draws numbers, whatever they are, is named by its shape: LineChart. */
const isNamedBy = (area: string, name: string) => (area === 'charts' ? name.endsWith('Chart') : name.startsWith(prefixOf(area)))

it('keeps every component in the folder of its area, and names it by the area', () => {
  const misplaced = filesIn('app/components').filter((path) => {
    const area = basename(dirname(path))
    return path !== `app/components/${area}/${basename(path)}` || !isNamedBy(area, basename(path, '.vue'))
  })
  expect(misplaced).toEqual([])
})

// `LazyUiList` is `UiList`, loaded when it is needed.
it('has the components that templates use, and no others', () => {
  const components = filesIn('app/components').map(path => basename(path, '.vue'))
  const areas = readdirSync(`${ROOT}app/components`)
  const used = new Set(filesIn('app').filter(path => path.endsWith('.vue')).flatMap(path =>
    [...readFileSync(ROOT + path, 'utf8').matchAll(/^ *<(?:Lazy)?([A-Z]\w+)/gm)].map(match => match[1]!).filter(name => areas.some(area => isNamedBy(area, name)))))
  expect([...used].sort()).toEqual(components.sort())
})

it('exports no function, class or constant that no other file uses', () => {
  const sources = new Map(['app', 'tests'].flatMap(allFilesIn).map(path => [path, readFileSync(ROOT + path, 'utf8')]))
  const unused: string[] = []
  for (const [path, source] of sources) {
    if (GENERATED.test(path)) continue
    for (const [, name] of source.matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)) {
      const used = [...sources].some(([other, text]) => other !== path && new RegExp(`\\b${name}\\b`).test(text))
      if (!used) unused.push(`${path}: ${name}`)
    }
  }
  expect(unused).toEqual([])
})
