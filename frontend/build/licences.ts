// Lists the packages of which code is in the dashboard, with their licences, for the page that names them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'

// Their icons and fonts are not modules.
const ALSO = ['@iconify-json/lucide', 'pretendard', 'tailwindcss']
// The innermost package of a path.
const PACKAGE = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//

export function licences(root: string): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle(_, bundle) {
      if (this.environment.name !== 'client') return
      const folders = new Map(ALSO.map(name => [name, join(root, 'node_modules', name)]))
      for (const chunk of Object.values(bundle)) {
        for (const id of chunk.type === 'chunk' ? Object.keys(chunk.modules) : []) {
          const found = PACKAGE.exec(id)
          if (found) folders.set(found[1]!, found[0])
        }
      }
      const packages = [...folders].sort(([a], [b]) => a.localeCompare(b, 'en')).map(([name, folder]) => {
        const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string, license?: string }
        return { name, version, licence: license ?? '' }
      })
      this.emitFile({ type: 'asset', fileName: 'licences.json', source: JSON.stringify(packages) })
    },
  }
}
