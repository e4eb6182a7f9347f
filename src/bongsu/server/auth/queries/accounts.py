"""Statements on the tables of users, sessions and API tokens."""

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import api_tokens, sessions, users
from bongsu.server.database.turns import Turn, take_turn


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as stored."""

    id: int
    email: str
    name: str
    role: str
    created_ms: int
    last_login_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    disabled: bool = False
    version: int = 0
    password_hash: str | None = field(default=None, repr=False)
    totp_secret: bytes | None = field(default=None, repr=False)
    totp_enabled: bool = False
    totp_step: int = 0
    oidc_subject: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as stored."""

    id: str
    user_id: int
    generation: int
    rotated_ms: int
    created_ms: int
    expires_ms: int
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class ApiTokenRecord:
    """An API token as stored: a program uses it in the name of its owner."""

    id: int
    user_id: int
    name: str
    token_hash: bytes = field(repr=False)
    scope: str
    created_ms: int
    expires_ms: int
    last_used_ms: int
    tags: dict[str, str] = field(default_factory=dict)


def _with_tags(row: Row[Any]) -> dict[str, Any]:
    return {**row._mapping, "tags": json.loads(row._mapping["tags"])}


def load_users(connection: Connection) -> list[UserRecord]:
    """All users, oldest first."""
    return [UserRecord(**_with_tags(row)) for row in connection.execute(select(users).order_by(users.c.id))]


def add_user(connection: Connection, record: UserRecord) -> UserRecord | None:
    """Stores a new user; the database assigns ``id``. None if the email address is taken."""
    values = {name: getattr(record, name) for name in UserRecord.__slots__ if name != "id"}
    values["tags"] = json.dumps(record.tags)
    if connection.execute(insert_or_ignore(connection, users).values(values)).rowcount == 0:
        return None
    return user_by_email(connection, record.email)


def add_first_user(connection: Connection, record: UserRecord) -> UserRecord | None:
    """Stores the first user; None if there is a user already."""
    take_turn(connection, Turn.FIRST_USER)
    if connection.scalar(select(func.count()).select_from(users)):
        return None
    return add_user(connection, record)


def user_by_email(connection: Connection, email: str) -> UserRecord | None:
    """The user with this address, in lower case."""
    row = connection.execute(select(users).where(users.c.email == email)).first()
    return UserRecord(**_with_tags(row)) if row else None


def update_user(connection: Connection, user_id: int, *, new_version: bool = False, **values: Any) -> None:
    """Changes columns of a user. ``new_version``: all tokens issued to them end."""
    if "tags" in values:
        values["tags"] = json.dumps(values["tags"])
    if new_version:
        values["version"] = users.c.version + 1
    connection.execute(update(users).where(users.c.id == user_id).values(values))


def count_admins(connection: Connection) -> int:
    """How many admins can log in."""
    admins = select(func.count()).select_from(users).where(users.c.role == "admin", users.c.disabled.is_(False))
    return connection.scalar(admins) or 0


def delete_user(connection: Connection, user_id: int) -> None:
    """Deletes a user with their sessions and API tokens."""
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
    connection.execute(delete(api_tokens).where(api_tokens.c.user_id == user_id))
    connection.execute(delete(users).where(users.c.id == user_id))


def take_totp_step(connection: Connection, user_id: int, step: int) -> bool:
    """Marks the time step of a code as used; False if it or a later one was used before."""
    taken = connection.execute(
        update(users).where(users.c.id == user_id, users.c.totp_step < step).values(totp_step=step)
    )
    return taken.rowcount == 1


def load_sessions(connection: Connection, now_ms: int) -> list[SessionRecord]:
    """The sessions that have not expired."""
    rows = connection.execute(select(sessions).where(sessions.c.expires_ms > now_ms))
    return [SessionRecord(**row._mapping) for row in rows]


def add_session(connection: Connection, record: SessionRecord) -> None:
    """Stores a new session and deletes the expired ones."""
    connection.execute(delete(sessions).where(sessions.c.expires_ms <= record.created_ms))
    connection.execute(insert(sessions).values({name: getattr(record, name) for name in SessionRecord.__slots__}))


def session(connection: Connection, session_id: str) -> SessionRecord | None:
    """A session by its id."""
    row = connection.execute(select(sessions).where(sessions.c.id == session_id)).first()
    return SessionRecord(**row._mapping) if row else None


def rotate_session(
    connection: Connection, session_id: str, generation: int, now_ms: int, expires_ms: int, address: str
) -> bool:
    """Makes the next refresh token valid; False if another request was faster."""
    matching = (sessions.c.id == session_id) & (sessions.c.generation == generation)
    values = {"generation": generation + 1, "rotated_ms": now_ms, "expires_ms": expires_ms, "address": address}
    return connection.execute(update(sessions).where(matching).values(values)).rowcount == 1


def end_session(connection: Connection, session_id: str, user_id: int | None = None) -> bool:
    """Deletes a session (of a user, if given). Returns whether it existed."""
    matching = sessions.c.id == session_id
    if user_id is not None:
        matching &= sessions.c.user_id == user_id
    return connection.execute(delete(sessions).where(matching)).rowcount == 1


def end_sessions(connection: Connection, user_id: int, but: str = "") -> None:
    """Deletes all sessions of a user, except ``but``."""
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != but))


def load_api_tokens(connection: Connection) -> list[ApiTokenRecord]:
    """All API tokens, oldest first."""
    rows = connection.execute(select(api_tokens).order_by(api_tokens.c.id))
    return [ApiTokenRecord(**_with_tags(row)) for row in rows]


def add_api_token(connection: Connection, record: ApiTokenRecord) -> ApiTokenRecord:
    """Stores a new token; the database assigns ``id``."""
    values = {name: getattr(record, name) for name in ApiTokenRecord.__slots__ if name != "id"}
    values["tags"] = json.dumps(record.tags)
    connection.execute(insert(api_tokens).values(values))
    row = connection.execute(select(api_tokens).where(api_tokens.c.token_hash == record.token_hash)).one()
    return ApiTokenRecord(**_with_tags(row))


def delete_api_token(connection: Connection, token_id: int) -> None:
    """Deletes a token."""
    connection.execute(delete(api_tokens).where(api_tokens.c.id == token_id))


def revoke_api_tokens(connection: Connection, user_id: int) -> int:
    """Deletes all API tokens of a user. Returns their number."""
    return connection.execute(delete(api_tokens).where(api_tokens.c.user_id == user_id)).rowcount


def touch_api_tokens(connection: Connection, last_used_ms: dict[int, int]) -> None:
    """Stores when tokens were last used; a time never goes back."""
    for token_id, time_ms in last_used_ms.items():
        matching = (api_tokens.c.id == token_id) & (api_tokens.c.last_used_ms < time_ms)
        connection.execute(update(api_tokens).where(matching).values(last_used_ms=time_ms))
