// Updates of widgets take turns: forty that redraw in one frame would hold up the page for a third of a second.

// Fewer would be long frames; more would each paint for little: without a graphics card, a frame for each widget took three times the CPU.
const FRAMES = 3

export class Turns {
  private readonly waiting = new Map<symbol, () => void>()
  private frame: number | null = null
  private held = false
  /** Tasks in a frame; 0: none has run since all were done. */
  private each = 0

  constructor(private readonly request: (task: () => void) => number = task => requestAnimationFrame(task)) {}

  /** Runs a task in one of the next frames; a newer task of the same owner takes its place. */
  add(owner: symbol, task: () => void): void {
    this.waiting.set(owner, task)
    this.schedule()
  }

  /** Forgets what an owner has waiting. */
  remove(owner: symbol): void {
    this.waiting.delete(owner)
  }

  /** While something is dragged, nothing else moves. */
  hold(held: boolean): void {
    this.held = held
    this.schedule()
  }

  private schedule(): void {
    if (this.frame !== null || this.held || this.waiting.size === 0) return
    this.frame = this.request(() => {
      this.frame = null
      if (this.held) return
      this.each = Math.max(this.each, Math.ceil(this.waiting.size / FRAMES))
      for (const [owner, task] of [...this.waiting].slice(0, this.each)) {
        this.waiting.delete(owner)
        task()
      }
      if (this.waiting.size === 0) this.each = 0
      this.schedule()
    })
  }
}

export const turns = new Turns()
