import { vi } from 'vitest'

// happy-dom has no canvas: a chart needs the calls to exist, the tests look at everything around it.
const context = new Proxy({}, {
  get: (_, name) => (name === 'measureText' ? () => ({ width: 0 }) : () => undefined),
  set: () => true,
})
HTMLCanvasElement.prototype.getContext = vi.fn(() => context) as unknown as typeof HTMLCanvasElement.prototype.getContext
globalThis.Path2D ??= class { moveTo() {} lineTo() {} rect() {} arc() {} addPath() {} closePath() {} bezierCurveTo() {} } as unknown as typeof Path2D
