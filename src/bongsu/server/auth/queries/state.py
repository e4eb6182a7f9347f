"""What the processes share to agree on who may come in: revisions, signing keys, failed logins."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, text, update

from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import auth_revisions, login_failures, signing_keys


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``secret`` is encrypted."""

    id: str
    secret: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins of a subject."""

    failures: int
    last_ms: int
    locked_until_ms: int


def bump(connection: Connection, part: str) -> None:
    """Tells every process that a part has changed, with the transaction that changes it."""
    connection.execute(insert_or_ignore(connection, auth_revisions).values(part=part, revision=0))
    mine = auth_revisions.c.part == part
    connection.execute(update(auth_revisions).where(mine).values(revision=auth_revisions.c.revision + 1))


def revisions(connection: Connection) -> dict[str, int]:
    """Part -> revision."""
    rows = connection.execute(select(auth_revisions.c.part, auth_revisions.c.revision))
    return {row.part: row.revision for row in rows}


def load_signing_keys(connection: Connection) -> list[SigningKey]:
    """Newest first."""
    newest = signing_keys.c.created_ms.desc(), signing_keys.c.id
    return [SigningKey(**row._mapping) for row in connection.execute(select(signing_keys).order_by(*newest))]


def add_signing_key(connection: Connection, key: SigningKey, *, only_if_none: bool = False) -> bool:
    """Stores a key. ``only_if_none``: unless there is one; processes that start together agree on the first."""
    if only_if_none:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(8602)"))
        if load_signing_keys(connection):
            return False
    connection.execute(insert(signing_keys).values(id=key.id, secret=key.secret, created_ms=key.created_ms))
    return True


def delete_signing_keys(connection: Connection, ids: list[str]) -> None:
    """Forgets keys: what they signed is not accepted any more."""
    connection.execute(delete(signing_keys).where(signing_keys.c.id.in_(ids)))


def load_failures(connection: Connection, subjects: list[str]) -> dict[str, Failures]:
    """What is known of these subjects."""
    rows = connection.execute(select(login_failures).where(login_failures.c.subject.in_(subjects)))
    return {row.subject: Failures(row.failures, row.last_ms, row.locked_until_ms) for row in rows}


def store_failures(connection: Connection, subject: str, failures: Failures) -> None:
    """Replaces what is known of a subject."""
    values = {
        "failures": failures.failures,
        "last_ms": failures.last_ms,
        "locked_until_ms": failures.locked_until_ms,
    }
    connection.execute(insert_or_ignore(connection, login_failures).values(subject=subject, **values))
    connection.execute(update(login_failures).where(login_failures.c.subject == subject).values(values))


def forget_failures(connection: Connection, subjects: list[str]) -> None:
    """They got in."""
    connection.execute(delete(login_failures).where(login_failures.c.subject.in_(subjects)))


def forget_old_failures(connection: Connection, before_ms: int) -> None:
    """Those that nobody waits for any more."""
    connection.execute(delete(login_failures).where(login_failures.c.last_ms < before_ms))
