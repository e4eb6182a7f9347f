// Measures the JavaScript that a browser loads for the first page: the scripts in index.html, everything they import, and the chunks of
// the layout, the server page, its chart and one language file. Fails over the limit, so that a heavy import is noticed at once.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 300
const PUBLIC = fileURLToPath(new URL('../.output/public', import.meta.url))
const MANIFEST = fileURLToPath(new URL('../node_modules/.cache/nuxt/.nuxt/dist/server/client.manifest.mjs', import.meta.url))
// Loaded on demand, but the first page always needs them.
const FIRST_PAGE = [/^layouts\/default/, /^pages\/servers\/\[id\]/, /HistoryChart\.vue$/, /locales\/ko\.json/]

interface Chunk { file: string, imports?: string[] }

const manifest = (await import(MANIFEST) as { default: Record<string, Chunk> }).default
const html = readFileSync(`${PUBLIC}/index.html`, 'utf8')
const files = new Set([...html.matchAll(/<script[^>]+src="\/([^"]+\.js)"/g)].map(match => match[1]!))

const seen = new Set<string>()
function add(key: string): void {
  const chunk = manifest[key]
  const file = chunk && `_nuxt/${chunk.file}`
  if (!chunk || !file || !file.endsWith('.js') || seen.has(key)) return
  seen.add(key)
  files.add(file)
  chunk.imports?.forEach(add)
}
for (const [key, chunk] of Object.entries(manifest)) {
  if (files.has(`_nuxt/${chunk.file}`) || FIRST_PAGE.some(pattern => pattern.test(key))) add(key)
}

const rows = [...files].map(file => ({ file, gzip: gzipSync(readFileSync(`${PUBLIC}/${file}`), { level: 9 }).length })).sort((a, b) => b.gzip - a.gzip)
const totalKb = rows.reduce((sum, row) => sum + row.gzip, 0) / 1024
for (const { file, gzip } of rows) console.log(`${(gzip / 1024).toFixed(1).padStart(8)} KB  ${file}`)
console.log(`${totalKb.toFixed(1).padStart(8)} KB  first-load JavaScript, gzip (limit ${LIMIT_KB})`)
if (totalKb > LIMIT_KB) process.exit(1)
