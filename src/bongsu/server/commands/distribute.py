"""``bongsu db distribute``: makes the metric tables those of a distributed installation."""

from collections.abc import AsyncIterator
from functools import partial

from sqlalchemy import Connection, text

from bongsu.core.clock import Clock
from bongsu.server.database.database import Database
from bongsu.server.database.distribution import (
    FIRST,
    SHARD_KEY,
    SHARDS,
    CannotDistribute,
    distribute_table,
    distributed_tables,
    has_citus,
    metric_tables,
)
from bongsu.server.database.leases import LEASE_MS, holders
from bongsu.server.database.migrations import current_revision, revisions
from bongsu.server.database.tables import metadata

_ON_WORKER = "SELECT groupid <> 0 FROM pg_dist_local_group"
_NODES = "SELECT count(*) FROM pg_dist_node WHERE noderole = 'primary' AND shouldhaveshards"


async def distribute(database: Database, clock: Clock, shards: int | None) -> AsyncIterator[str]:
    """Distributes the metric tables that are not distributed yet, each in a transaction of its own: the next call
    continues one that was interrupted. Yields what it does.

    ``shards``: how many; None: SHARDS, or as many as there are.

    Raises:
        CannotDistribute: the database is not Citus, has older tables, is distributed otherwise, or in use.
    """
    if database.dialect != "postgresql":
        raise CannotDistribute(
            "Only PostgreSQL with Citus can be distributed, and this database is SQLite. Copy it there first: "
            "bongsu db copy --to postgresql://..."
        )
    done = await database.write(lambda connection: _check(connection, shards, clock.now_ms()))
    tables = metric_tables()
    if len(done) < len(tables):
        nodes = await database.read(lambda connection: int(connection.scalar(text(_NODES)) or 0))
        on = f"{nodes} node{'s' if nodes > 1 else ''}" if nodes else "the coordinator, which is the only node"
        yield f"Distributing by {SHARD_KEY}: {done.get(FIRST.name, shards or SHARDS)} shards on {on}."
    for table in tables:
        if table.name in done:
            yield f"{table.name}: is distributed already, {done[table.name]} shards"
            continue
        count = (shards or SHARDS) if table is FIRST else None
        await database.write(partial(distribute_table, name=table.name, shards=count), patient=True)
        yield f"{table.name}: distributed"
    yield f"The other {len(metadata.tables) - len(tables)} tables stay on the coordinator."


def _check(connection: Connection, shards: int | None, now_ms: int) -> dict[str, int]:
    """The tables that are distributed already, and their numbers of shards."""
    if not has_citus(connection):
        raise CannotDistribute(
            "The extension citus is missing. On each node, add citus to shared_preload_libraries, restart PostgreSQL, "
            "and run in this database: CREATE EXTENSION citus;"
        )
    if connection.scalar(text(_ON_WORKER)):
        raise CannotDistribute("This is a worker node of Citus: use the URL of the coordinator.")
    revision = current_revision(connection)
    if revision != revisions()[-1]:
        raise CannotDistribute(
            f"The tables have revision {revision or 'none'}, this version needs {revisions()[-1]}: "
            "run bongsu db upgrade first."
        )
    done = distributed_tables(connection)
    present = done.get(FIRST.name)
    if present is not None and shards not in (None, present):
        raise CannotDistribute(
            f"The tables have {present} shards. To change that while Bongsu is stopped: "
            f"SELECT alter_distributed_table('{FIRST.name}', shard_count := {shards}, cascade_to_colocated := true);"
        )
    if len(done) < len(metric_tables()) and (running := holders(connection, now_ms)):
        raise CannotDistribute(
            f"Bongsu is running on this database ({', '.join(running)}): stop it first. "
            f"A process that was killed counts as running for {LEASE_MS // 1000} s."
        )
    return done
