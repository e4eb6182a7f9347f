import { unwrap } from './client'
import * as api from './generated'

export type User = api.ListUsersResponses[200]['users'][number]
export type NewUser = api.CreateUserData['body']
export type UserChange = api.UpdateUserData['body']
export type Role = User['role']

/** In ascending order: each role includes the permissions of the roles before it. */
export const ROLES = ['viewer', 'operator', 'admin'] as const satisfies readonly Role[]

/** The API server's default; it rejects shorter passwords. */
export const MIN_PASSWORD_LENGTH = 10

/** For the names of users, API tokens and enrolment tokens. */
export const MAX_NAME_LENGTH = 100

export const listUsers = async (): Promise<User[]> => (await unwrap(api.listUsers({ throwOnError: true }))).users

export const createUser = (body: NewUser) => unwrap(api.createUser({ body, throwOnError: true }))

export const updateUser = (userId: number, body: UserChange) => unwrap(api.updateUser({ path: { user_id: userId }, body, throwOnError: true }))

export const deleteUser = (userId: number) => unwrap(api.deleteUser({ path: { user_id: userId }, throwOnError: true }))
