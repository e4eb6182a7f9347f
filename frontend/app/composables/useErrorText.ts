import { ApiError } from '~/api/client'

/** Turns an error into a text for the user. Codes without a translation show the API server's own message. */
export function useErrorText(): (error: unknown) => string {
  const { t, te } = useI18n()
  const format = useFormat()
  return (error) => {
    if (!(error instanceof ApiError)) return String(error)
    return te(`error.${error.code}`) ? t(`error.${error.code}`, { limit: format.number(error.limit) }) : error.message
  }
}
