import { vi } from 'vitest'

// happy-dom has no canvas. uPlot only needs its methods to exist; the tests check what is around the chart.
const context = new Proxy({}, {
  get: (_, name) => (name === 'measureText' ? () => ({ width: 0 }) : () => undefined),
  set: () => true,
})
HTMLCanvasElement.prototype.getContext = vi.fn(() => context) as unknown as typeof HTMLCanvasElement.prototype.getContext
globalThis.Path2D ??= class { moveTo() {} lineTo() {} rect() {} arc() {} addPath() {} closePath() {} bezierCurveTo() {} } as unknown as typeof Path2D
// Pages poll here: nobody answers the live stream, whose parts have tests of their own.
globalThis.WebSocket = class { static readonly OPEN = 1; readonly readyState = 0; send() {} close() {} } as unknown as typeof WebSocket
