"""Statements on the table ``login_failures``."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import login_failures


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed logins of a subject."""

    failures: int
    last_ms: int
    locked_until_ms: int


def load_failures(connection: Connection, subjects: list[str]) -> dict[str, Failures]:
    """Subject -> its failures."""
    rows = connection.execute(select(login_failures).where(login_failures.c.subject.in_(subjects)))
    return {row.subject: Failures(row.failures, row.last_ms, row.locked_until_ms) for row in rows}


def store_failures(connection: Connection, subject: str, failures: Failures) -> None:
    """Stores the failures of a subject."""
    values = {
        "failures": failures.failures,
        "last_ms": failures.last_ms,
        "locked_until_ms": failures.locked_until_ms,
    }
    connection.execute(insert_or_ignore(connection, login_failures).values(subject=subject, **values))
    connection.execute(update(login_failures).where(login_failures.c.subject == subject).values(values))


def forget_failures(connection: Connection, subjects: list[str]) -> None:
    """Deletes the failures of subjects that have logged in."""
    connection.execute(delete(login_failures).where(login_failures.c.subject.in_(subjects)))


def forget_old_failures(connection: Connection, before_ms: int) -> None:
    """Deletes failures that happened before a time."""
    connection.execute(delete(login_failures).where(login_failures.c.last_ms < before_ms))
