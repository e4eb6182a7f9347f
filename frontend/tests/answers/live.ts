import { create, toBinary } from '@bufbuild/protobuf'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { ServerMessageSchema } from '../proto/live_pb'
import { decodeServerMessage } from '~/api/proto/live'
import type { ServerMessage } from '~/api/proto/live'

export type ServerMessageInit = MessageInitShape<typeof ServerMessageSchema>

/** The bytes of a message, written by protobuf-es. */
export function serverBytes(message: ServerMessageInit): Uint8Array<ArrayBuffer> {
  return toBinary(ServerMessageSchema, create(ServerMessageSchema, message))
}

/** A message as the dashboard reads it. */
export const serverMessage = (message: ServerMessageInit): ServerMessage => decodeServerMessage(serverBytes(message))
