"""Leases: how several workers share work. Usable for anything that is divided by server id.

A worker announces itself and takes its share of the shards. A lease lasts LEASE_MS and is renewed by each call. When a
worker dies, the others take its shards at their next call after its leases have expired. A worker that was only
delayed finds out at its next write (``check``) that it lost them, and writes nothing. The workers' clocks must agree to
within a few seconds.
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

# Renewed every few seconds. With an evaluation every 10 s, the shards of a dead worker move within 30 s.
LEASE_MS = 18_000
SHARDS = 16
# Beside those of the servers: the alerts about Bongsu itself, which has the id 0.
OWN_SHARD = SHARDS
# API servers announce themselves under these names.
API_SERVERS = "api-server/"


class LeaseLost(BongsuError):
    """Another worker has taken over; nothing has changed."""

    code = "lease_lost"


def claim(connection: Connection, names: Sequence[str], owner: str, now_ms: int, until_ms: int) -> set[str]:
    """Takes the leases that are free, have expired, or are held by the owner. Returns the names that it holds now."""
    if not names:
        return set()
    free = [{"name": name, "owner": owner, "expires_ms": 0} for name in names]
    connection.execute(insert_or_ignore(connection, leases), free)
    claimable = or_(leases.c.owner == owner, leases.c.expires_ms <= now_ms)
    connection.execute(
        update(leases).where(leases.c.name.in_(names), claimable).values(owner=owner, expires_ms=until_ms)
    )
    return set(connection.scalars(select(leases.c.name).where(leases.c.name.in_(names), leases.c.owner == owner)))


def release(connection: Connection, names: Collection[str], owner: str) -> None:
    """Gives leases back, so that others can take them at once."""
    connection.execute(delete(leases).where(leases.c.name.in_(names), leases.c.owner == owner))


def forget(connection: Connection, prefix: str, before_ms: int) -> None:
    """Deletes leases that expired before a time: those of workers that no longer exist."""
    old = leases.c.name.startswith(prefix, autoescape=True), leases.c.expires_ms < before_ms
    connection.execute(delete(leases).where(*old))


def announce(connection: Connection, prefix: str, owner: str, now_ms: int, until_ms: int) -> None:
    """Tells the others under a name of its own that the owner is there until then."""
    claim(connection, [prefix + owner], owner, now_ms, until_ms)
    forget(connection, prefix, now_ms - LEASE_MS)


def api_servers(connection: Connection, now_ms: int) -> list[str]:
    """The API servers that take in samples now."""
    return list(held(connection, API_SERVERS, now_ms).values())


def held(connection: Connection, prefix: str, now_ms: int) -> dict[str, str]:
    """Name -> owner of the valid leases whose name begins with ``prefix``."""
    query = select(leases.c.name, leases.c.owner).where(
        leases.c.name.startswith(prefix, autoescape=True), leases.c.expires_ms > now_ms
    )
    return {row.name: row.owner for row in connection.execute(query)}


def holders(connection: Connection, now_ms: int) -> list[str]:
    """The API servers and workers that run on this database now."""
    return sorted({owner.rpartition(":")[0] for owner in held(connection, "", now_ms).values()})


def check(connection: Connection, names: Collection[str], owner: str) -> None:
    """Raises LeaseLost unless the owner holds all leases. Belongs in the transaction that depends on them."""
    query = select(func.count()).select_from(leases).where(leases.c.name.in_(names), leases.c.owner == owner)
    if connection.dialect.name == "postgresql":
        # Another worker's claim waits until this transaction ends.
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
    """Unique for every start, so that a restarted worker does not hold the leases of its predecessor."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def shard_of(server_id: int) -> int:
    """The shard of a server, or of Bongsu itself."""
    return server_id % SHARDS if server_id else OWN_SHARD


class Shares:
    """One worker's shards of one kind of work."""

    def __init__(self, kind: str, database: Database, clock: Clock, *, lease_ms: int = LEASE_MS) -> None:
        self.owner = worker_name()
        self._lease_ms = lease_ms
        self.shards: frozenset[int] = frozenset()
        self._kind = kind
        self._database = database
        self._clock = clock

    @property
    def _workers(self) -> str:
        return f"{self._kind}-worker/"

    def _name(self, shard: int) -> str:
        return f"{self._kind}/{shard}"

    def names(self) -> list[str]:
        """The leases of ``shards``, for ``check``."""
        return [self._name(shard) for shard in sorted(self.shards)]

    async def renew(self) -> frozenset[int]:
        """Renews its shards, takes free ones up to its share, and gives back what exceeds it. Returns its shards."""
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._lease_ms

        def work(connection: Connection) -> frozenset[int]:
            announce(connection, self._workers, self.owner, now_ms, until_ms)
            workers = held(connection, self._workers, now_ms)
            owners = held(connection, f"{self._kind}/", now_ms)
            share = -(-SHARDS // max(1, len(workers)))
            names = [self._name(shard) for shard in range(SHARDS)]
            kept = [name for name in names if owners.get(name) == self.owner]
            release(connection, kept[share:], self.owner)
            free = [name for name in names if name not in owners]
            claimed = claim(connection, kept[:share] + free[: max(0, share - len(kept))], self.owner, now_ms, until_ms)
            return frozenset(int(name.rpartition("/")[2]) for name in claimed)

        self.shards = await self._database.write(work)
        return self.shards

    async def give_up(self) -> None:
        """Gives everything back at an orderly end, so that others need not wait."""
        names = [*self.names(), self._workers + self.owner]
        await self._database.write(lambda connection: release(connection, names, self.owner))
        self.shards = frozenset()


class OwnShare(Shares):
    """The one shard of the alerts about Bongsu itself: an API server has it, or a worker while there is none."""

    def __init__(self, database: Database, clock: Clock, *, lease_ms: int = LEASE_MS) -> None:
        super().__init__("own-alerts", database, clock, lease_ms=lease_ms)

    @property
    def _workers(self) -> str:
        return API_SERVERS

    async def announce(self) -> None:
        """Tells the workers that this API server takes in samples."""
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._lease_ms
        await self._database.write(lambda connection: announce(connection, self._workers, self.owner, now_ms, until_ms))

    async def renew(self) -> frozenset[int]:
        now_ms, names = self._clock.now_ms(), [self._name(OWN_SHARD)]
        claimed = await self._database.write(
            lambda connection: claim(connection, names, self.owner, now_ms, now_ms + self._lease_ms)
        )
        self.shards = frozenset([OWN_SHARD] if claimed else [])
        return self.shards
