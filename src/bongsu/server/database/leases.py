"""Work shared by several workers: who has which shard. Reusable for anything that is claimed by server id.

A worker announces itself and takes its share of the shards; a lease lasts LEASE_MS and is renewed at each call. A
worker that dies renews nothing, and the others take its shards LEASE_MS later at the latest, at their next call. One
that was only held up finds at its next write that it lost them (``storage.leases.check``), and writes nothing.
Workers' clocks must agree to within a few seconds.
"""

import os
import socket
import uuid
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, func, or_, select, update

from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError
from bongsu.server.database.database import Database
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import leases

# Renewed every few seconds; with an evaluation every 10 s a dead worker's shards move within 30 s.
LEASE_MS = 18_000
SHARDS = 16


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


def worker_name() -> str:
    """Different for every start: a worker that is started again does not take itself for the one before."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def shard_of(server_id: int) -> int:
    """The shard that looks after a server."""
    return server_id % SHARDS


class Shares:
    """One worker's shards of one kind of work."""

    def __init__(self, kind: str, database: Database, clock: Clock, *, lease_ms: int = LEASE_MS) -> None:
        self.owner = worker_name()
        self._lease_ms = lease_ms
        self.mine: frozenset[int] = frozenset()
        self._kind = kind
        self._database = database
        self._clock = clock

    def _name(self, shard: int) -> str:
        return f"{self._kind}/{shard}"

    def names(self) -> list[str]:
        """The leases behind ``mine``, to check in a transaction."""
        return [self._name(shard) for shard in sorted(self.mine)]

    async def renew(self) -> frozenset[int]:
        """Renews what it has, takes what is free up to its share, gives away what is more. Returns its shards."""
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._lease_ms
        me = f"{self._kind}-worker/{self.owner}"

        def work(connection: Connection) -> frozenset[int]:
            claim(connection, [me], self.owner, now_ms, until_ms)
            forget(connection, f"{self._kind}-worker/", now_ms - LEASE_MS)
            workers = sorted(held(connection, f"{self._kind}-worker/", now_ms))
            owners = held(connection, f"{self._kind}/", now_ms)
            most = -(-SHARDS // max(1, len(workers)))
            names = [self._name(shard) for shard in range(SHARDS)]
            kept = [name for name in names if owners.get(name) == self.owner]
            release(connection, kept[most:], self.owner)
            free = [name for name in names if name not in owners]
            got = claim(connection, kept[:most] + free[: max(0, most - len(kept))], self.owner, now_ms, until_ms)
            return frozenset(int(name.rpartition("/")[2]) for name in got)

        self.mine = await self._database.write(work)
        return self.mine

    async def give_up(self) -> None:
        """At an orderly end others need not wait."""
        names = [*self.names(), f"{self._kind}-worker/{self.owner}"]
        await self._database.write(lambda connection: release(connection, names, self.owner))
        self.mine = frozenset()
