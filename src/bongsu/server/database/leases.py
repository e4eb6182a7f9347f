"""Leases in the database."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, func, or_, select, update

from bongsu.core.errors import BongsuError
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import leases


class LeaseLost(BongsuError):
    """Another worker took over meanwhile; nothing was changed."""

    code = "lease_lost"


def claim(connection: Connection, names: Sequence[str], owner: str, now_ms: int, until_ms: int) -> set[str]:
    """Takes those that are free, have expired, or are the owner's already. Returns the names that it holds now."""
    if not names:
        return set()
    free = [{"name": name, "owner": owner, "expires_ms": 0} for name in names]
    connection.execute(insert_or_ignore(connection, leases), free)
    mine = or_(leases.c.owner == owner, leases.c.expires_ms <= now_ms)
    connection.execute(update(leases).where(leases.c.name.in_(names), mine).values(owner=owner, expires_ms=until_ms))
    return set(connection.scalars(select(leases.c.name).where(leases.c.name.in_(names), leases.c.owner == owner)))


def release(connection: Connection, names: Collection[str], owner: str) -> None:
    """Lets others have them at once."""
    connection.execute(delete(leases).where(leases.c.name.in_(names), leases.c.owner == owner))


def forget(connection: Connection, prefix: str, before_ms: int) -> None:
    """Takes out what ran out before a time: workers that are no more."""
    old = leases.c.name.startswith(prefix, autoescape=True), leases.c.expires_ms < before_ms
    connection.execute(delete(leases).where(*old))


def held(connection: Connection, prefix: str, now_ms: int) -> dict[str, str]:
    """Name -> owner of the leases that are in force and begin with ``prefix``."""
    query = select(leases.c.name, leases.c.owner).where(
        leases.c.name.startswith(prefix, autoescape=True), leases.c.expires_ms > now_ms
    )
    return {row.name: row.owner for row in connection.execute(query)}


def check(connection: Connection, names: Collection[str], owner: str) -> None:
    """Within the transaction that depends on it: raises LeaseLost unless the owner holds all of them."""
    query = select(func.count()).select_from(leases).where(leases.c.name.in_(names), leases.c.owner == owner)
    if connection.dialect.name == "postgresql":
        # A claim of another worker waits until this transaction has ended.
        query = (
            select(func.count())
            .select_from(
                select(leases.c.name)
                .where(leases.c.name.in_(names), leases.c.owner == owner)
                .with_for_update(read=True)
                .subquery()
            )
        )  # fmt: skip
    if connection.scalar(query) != len(set(names)):
        raise LeaseLost
