"""Work shared by several workers: who has which shard. Reusable for anything that is claimed by server id.

A worker announces itself and takes its share of the shards; a lease lasts LEASE_MS and is renewed at each call. A
worker that dies renews nothing, and the others take its shards LEASE_MS later at the latest, at their next call. One
that was only held up finds at its next write that it lost them (``storage.leases.check``), and writes nothing.
Workers' clocks must agree to within a few seconds.
"""

import os
import socket
import uuid

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.server.database.database import Database
from bongsu.server.database.leases import claim, forget, held, release

# Renewed every few seconds; with an evaluation every 10 s a dead worker's shards move within 30 s.
LEASE_MS = 18_000
SHARDS = 16


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
