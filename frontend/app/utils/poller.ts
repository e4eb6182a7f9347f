export interface PollerOptions {
  /** A rejection counts as a failure. */
  task: () => Promise<void>
  /** How long to wait after a success. */
  delayMs: () => number
  onSuccess?: () => void
  onFailure?: (error: unknown, failures: number, retryInMs: number) => void
  /** 0..1, replaced in tests. @default Math.random */
  random?: () => number
}

const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 30_000

const MIN_POLL_MS = 1_000
const MAX_POLL_MS = 10_000
// Time for a frame to arrive and to be committed after its agent's interval.
const FRAME_DELAY_MS = 400
const MIN_WAIT_MS = 500

/** Doubles from 1 s to 30 s, less a random quarter, so that many browsers do not retry at the same moment. */
export function backoffMs(failures: number, random: number): number {
  return Math.round(Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * (1 - random / 4))
}

/** Waits until just after the next frame is due, so that each poll returns a new frame. */
export function nextPollDelay(frameMs: number | null, nowMs: number, intervalMs: number): number {
  const pollMs = Math.min(MAX_POLL_MS, Math.max(MIN_POLL_MS, intervalMs))
  if (frameMs === null) return pollMs
  const untilDueMs = frameMs + intervalMs + FRAME_DELAY_MS - nowMs
  return untilDueMs > 0 && untilDueMs < pollMs ? Math.max(MIN_WAIT_MS, untilDueMs) : pollMs
}

/** Runs a task repeatedly, one run at a time, and backs off after failures. */
export class Poller {
  private timer: ReturnType<typeof setTimeout> | undefined
  private active = false
  private running = false
  private runAgain = false
  private failures = 0

  constructor(private readonly options: PollerOptions) {}

  start(): void {
    if (this.active) return
    this.active = true
    this.runOrQueue()
  }

  stop(): void {
    this.active = false
    clearTimeout(this.timer)
  }

  /** Runs the task without waiting; if it is running, it runs once more afterwards. */
  runNow(): void {
    if (!this.active) return
    clearTimeout(this.timer)
    this.runOrQueue()
  }

  private runOrQueue(): void {
    if (this.running) this.runAgain = true
    else void this.run()
  }

  private async run(): Promise<void> {
    this.running = true
    let delayMs: number
    try {
      await this.options.task()
      this.failures = 0
      this.options.onSuccess?.()
      delayMs = this.options.delayMs()
    }
    catch (error) {
      this.failures++
      delayMs = backoffMs(this.failures, (this.options.random ?? Math.random)())
      this.options.onFailure?.(error, this.failures, delayMs)
    }
    this.running = false
    if (!this.active) return
    if (this.runAgain) delayMs = 0
    this.runAgain = false
    this.timer = setTimeout(() => void this.run(), delayMs)
  }
}
