// Configures the generated client and turns its failures into ApiError. Beside it there is one file per subject: each wraps the
// generated operations and names their types. Types come from the operations, so renaming a schema on the API server changes nothing here.
import { isAxiosError } from 'axios'
import { client } from './generated/client.gen'

const TIMEOUT_MS = 10_000

export class ApiError extends Error {
  /**
   * @param code the stable code of the API's error body; `network` when there was no answer, `http_502` when the body had no code
   * @param status the HTTP status; `null` when there was no answer
   * @param field the field of the request that was rejected
   * @param limit what it would have to be, or what is there instead
   */
  constructor(readonly code: string, message: string, readonly status: number | null, readonly field: string | null = null, readonly limit: number | null = null) {
    super(message)
    this.name = 'ApiError'
  }
}

export function configureClient(origin: string): void {
  client.setConfig({ baseURL: origin, timeout: TIMEOUT_MS })
}

export async function unwrap<T>(request: Promise<{ data: T }>): Promise<T> {
  try {
    return (await request).data
  }
  catch (error) {
    throw toApiError(error)
  }
}

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (!isAxiosError(error)) return new ApiError('unexpected', String(error), null)
  const status = error.response?.status ?? null
  const body = readErrorBody(error.response?.data)
  return new ApiError(body?.code ?? (status === null ? 'network' : `http_${status}`), body?.message ?? error.message, status, body?.field ?? null, body?.limit ?? null)
}

// A proxy may answer with HTML instead of the API's error body.
function readErrorBody(body: unknown): { code: string, message: string, field: string | null, limit: number | null } | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null
  const { error } = body
  // As Prometheus tells errors.
  if (typeof error === 'string') return { code: 'promql', message: error, field: null, limit: null }
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return null
  const field = 'field' in error && typeof error.field === 'string' ? error.field : null
  const limit = 'limit' in error && typeof error.limit === 'number' ? error.limit : null
  return { code: String(error.code), message: String(error.message), field, limit }
}
