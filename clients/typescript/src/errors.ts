/** What an error may say beside its code and message. */
interface Details {
  field?: string | null
  limit?: number | null
  retryAfter?: number
  cause?: unknown
}

/** The API server refused, or could not be reached (`status` 0, `code` `not_reachable`). */
export class BongsuError extends Error {
  override readonly name = 'BongsuError'
  /** The place in the request that is wrong. */
  readonly field: string | undefined
  /** The limit that it exceeds. */
  readonly limit: number | undefined
  /** Seconds after which the API server would answer. */
  readonly retryAfter: number | undefined

  /**
   * @param status of HTTP
   * @param code stays the same in other versions
   * @param message for people
   */
  constructor(readonly status: number, readonly code: string, message: string, details: Details = {}) {
    super(message, { cause: details.cause })
    this.field = details.field ?? undefined
    this.limit = details.limit ?? undefined
    this.retryAfter = details.retryAfter
  }
}

/** The error that a response tells, in Bongsu's own format or that of the PromQL API. */
export async function errorOf(response: Response): Promise<BongsuError> {
  const { status, statusText, headers } = response
  const after = headers.get('Retry-After') ?? ''
  const retryAfter = /^\d+$/.test(after) ? Number(after) : undefined
  // Not JSON: of a proxy.
  const body = await response.json().catch(() => undefined)
  const told = body?.error
  if (typeof told === 'string') return new BongsuError(status, body.errorType ?? '', told, { retryAfter })
  if (!told) return new BongsuError(status, 'http_error', statusText || 'no reason', { retryAfter })
  return new BongsuError(status, told.code, told.message, { field: told.field, limit: told.limit, retryAfter })
}
