// A chart as a picture, on the ground of the page, with its title above.

const TITLE_PX = 28
const MARGIN_PX = 12

/** `style`: of the surface around the chart. */
export function chartImage(plot: HTMLCanvasElement, title: string, style: CSSStyleDeclaration): Promise<Blob> {
  const scale = plot.width / Math.max(1, plot.clientWidth)
  const canvas = document.createElement('canvas')
  canvas.width = plot.width + 2 * MARGIN_PX * scale
  canvas.height = plot.height + (TITLE_PX + 2 * MARGIN_PX) * scale
  const context = canvas.getContext('2d')!
  context.fillStyle = style.backgroundColor
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.fillStyle = style.color
  context.font = `600 ${14 * scale}px ${style.fontFamily}`
  context.textBaseline = 'middle'
  context.fillText(title, MARGIN_PX * scale, (MARGIN_PX + TITLE_PX / 2) * scale)
  context.drawImage(plot, MARGIN_PX * scale, (MARGIN_PX + TITLE_PX) * scale)
  return new Promise((resolve, reject) => {
    canvas.toBlob(blob => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/png')
  })
}
