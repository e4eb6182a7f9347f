export interface PollerOptions {
  /** Does one round; a rejection counts as a failure. */
  task: () => Promise<void>
  /** After a round that went well, ms until the next. */
  delayMs: () => number
  onSuccess?: () => void
  onFailure?: (error: unknown, failures: number, retryInMs: number) => void
  /** 0..1, replaced in tests. @default Math.random */
  random?: () => number
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

/** Doubles from 1 s to 30 s, with up to a quarter taken off at random, so that many browsers do not come back at the same instant. */
export function backoffMs(failures: number, random: number): number {
  return Math.round(Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * (1 - random / 4))
}

/**
 * When to ask again so that the answer holds a new frame: shortly after the next one is due, not on a beat of our own that may run
 * just ahead of the agent's.
 */
export function nextPollDelay(frameMs: number | null, nowMs: number, intervalMs: number): number {
  const beat = Math.min(10_000, Math.max(1_000, intervalMs))
  if (frameMs === null) return beat
  // An agent's frame needs a moment to arrive and to be committed.
  const due = frameMs + intervalMs + 400 - nowMs
  return due > 0 && due < beat ? Math.max(500, due) : beat
}

/** Runs a task again and again, never twice at a time, and waits longer after failures. */
export class Poller {
  private timer: ReturnType<typeof setTimeout> | undefined
  private running = false
  private again = false
  private active = false
  private failures = 0

  constructor(private readonly options: PollerOptions) {}

  start(): void {
    if (this.active) return
    this.active = true
    if (this.running) this.again = true
    else void this.round()
  }

  stop(): void {
    this.active = false
    clearTimeout(this.timer)
  }

  /** Do a round now; one that is under way is followed by another. */
  poke(): void {
    if (!this.active) return
    clearTimeout(this.timer)
    if (this.running) this.again = true
    else void this.round()
  }

  private async round(): Promise<void> {
    this.running = true
    let delay: number
    try {
      await this.options.task()
      this.failures = 0
      this.options.onSuccess?.()
      delay = this.options.delayMs()
    }
    catch (error) {
      this.failures++
      delay = backoffMs(this.failures, (this.options.random ?? Math.random)())
      this.options.onFailure?.(error, this.failures, delay)
    }
    this.running = false
    if (!this.active) return
    if (this.again) delay = 0
    this.again = false
    this.timer = setTimeout(() => void this.round(), delay)
  }
}
