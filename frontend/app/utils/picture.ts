// What the rules of the page say of the inside of an SVG: the library copies only its elements.
const SVG_STYLES = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-opacity', 'stroke-linecap', 'stroke-linejoin', 'stroke-dasharray', 'font-family', 'font-size', 'font-weight', 'opacity', 'vector-effect']

/**
 * A part of the page as a picture, on the ground of the page, twice as sharp as a usual screen.
 * @param leaveOut selects what is not in the picture, such as buttons that appear under the pointer
 */
export async function pictureOf(element: HTMLElement, leaveOut: string): Promise<Blob> {
  // 15 KB that few need.
  const { toBlob } = await import('html-to-image')
  const restore = writeSvgStyles(element)
  try {
    const blob = await toBlob(element, {
      pixelRatio: 2,
      backgroundColor: getComputedStyle(document.body).backgroundColor,
      fontEmbedCSS: await usedFonts(),
      filter: node => !(node instanceof HTMLElement && node.matches(leaveOut)),
    })
    if (!blob) throw new Error('no picture')
    return blob
  }
  finally {
    restore()
  }
}

/** Writes into the elements what rules say of them, which changes nothing that is seen. Returns how to undo it. */
function writeSvgStyles(element: HTMLElement): () => void {
  const parts = [...element.querySelectorAll<SVGElement>('svg *')].map(part => ({ part, before: part.style.cssText, styles: getComputedStyle(part) }))
  const written = parts.map(({ part, before, styles }) => ({ part, before, values: SVG_STYLES.map(name => [name, styles.getPropertyValue(name)] as const) }))
  written.forEach(({ part, values }) => values.forEach(([name, value]) => part.style.setProperty(name, value)))
  return () => written.forEach(({ part, before }) => { part.style.cssText = before })
}

/** The rules of the fonts that the page has loaded, with the fonts in them: the library would take all hundred of them. */
async function usedFonts(): Promise<string> {
  const used = new Set([...document.fonts].filter(({ status }) => status === 'loaded').map(({ unicodeRange }) => unicodeRange))
  const rules = [...document.styleSheets].flatMap(sheet => [...sheet.cssRules].filter(rule => rule instanceof CSSFontFaceRule).map(rule => ({ rule, base: sheet.href ?? location.href })))
  const found = rules.filter(({ rule }) => used.has(rule.style.getPropertyValue('unicode-range') || 'U+0-10FFFF'))
  const texts = await Promise.all(found.map(async ({ rule, base }) => {
    const [whole, path] = /url\("?([^")]+)"?\)/.exec(rule.cssText) ?? []
    if (!whole || !path) return ''
    const font = await fetch(new URL(path, base)).then(answer => answer.blob())
    return rule.cssText.replace(whole, `url(${await dataUrl(font)})`)
  }))
  return texts.join('\n')
}

function dataUrl(content: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(String(reader.result))
    reader.onerror = () => reject(reader.error ?? new Error('no font'))
    reader.readAsDataURL(content)
  })
}
