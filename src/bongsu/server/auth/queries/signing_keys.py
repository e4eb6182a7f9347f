"""Statements on the table ``signing_keys``."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from bongsu.server.database.tables import signing_keys
from bongsu.server.database.turns import Turn, take_turn


@dataclass(frozen=True, slots=True)
class StoredSigningKey:
    """A signing key as stored; ``secret`` is encrypted."""

    id: str
    secret: bytes
    created_ms: int


def load_signing_keys(connection: Connection) -> list[StoredSigningKey]:
    """Newest first."""
    newest = signing_keys.c.created_ms.desc(), signing_keys.c.id
    return [StoredSigningKey(**row._mapping) for row in connection.execute(select(signing_keys).order_by(*newest))]


def add_signing_key(connection: Connection, key: StoredSigningKey, *, only_if_none: bool = False) -> bool:
    """Stores a key. ``only_if_none``: only if there is none, so that processes that start together agree on one."""
    if only_if_none:
        take_turn(connection, Turn.SIGNING_KEY)
        if load_signing_keys(connection):
            return False
    connection.execute(insert(signing_keys).values(id=key.id, secret=key.secret, created_ms=key.created_ms))
    return True


def delete_signing_keys(connection: Connection, ids: list[str]) -> None:
    """Deletes keys; tokens that they signed are no longer accepted."""
    connection.execute(delete(signing_keys).where(signing_keys.c.id.in_(ids)))
