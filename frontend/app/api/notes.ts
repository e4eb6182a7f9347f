import type * as api from './generated'

/** A sentence of the API server: a code and parameters, and the text in English. */
export type Note = api.Note
