import { BongsuError, errorOf } from './errors.js'

const RETRIES = 3
// Waits longer than this are left to the caller.
const LONGEST_WAIT_SECONDS = 30

/** A `fetch` that repeats what is answered with 429 or 503, and throws a `BongsuError` for every other refusal. */
export function createAskingFetch(base: typeof fetch, timeoutMs: number): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    for (let attempt = 0; ; attempt++) {
      // A body can be sent once only, and is needed again.
      const response = await answer(base, request.clone(), timeoutMs)
      if (response.ok) return response
      const error = await errorOf(response)
      const seconds = waitBeforeRetry(error, attempt)
      if (seconds === undefined) throw error
      await pause(seconds * 1000, request.signal)
    }
  }
}

async function answer(base: typeof fetch, request: Request, timeoutMs: number): Promise<Response> {
  try {
    return await base(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]) })
  }
  catch (cause) {
    request.signal.throwIfAborted()
    const { origin } = new URL(request.url)
    throw new BongsuError(0, 'not_reachable', `${origin} did not answer: ${reason(cause)}`, { cause })
  }
}

/** What `fetch` says of a failure: Node.js has it in the cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message ? error.cause.message : error.message
}

function waitBeforeRetry(error: BongsuError, attempt: number): number | undefined {
  if (![429, 503].includes(error.status) || attempt >= RETRIES) return undefined
  const seconds = error.retryAfter ?? 2 ** attempt
  return seconds <= LONGEST_WAIT_SECONDS ? seconds : undefined
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', stop, { once: true })
  })
}
