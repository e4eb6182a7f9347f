"""Distributes the metric tables over the nodes of Citus, by ``server_id``.

All of them are co-located: what is stored of one server is in the same shard of each, on one node, where it is joined,
changed in one transaction, and read in one state. The other tables are small, and stay on the coordinator.
"""

from sqlalchemy import Connection, Table, text

from bongsu.core.errors import BongsuError
from bongsu.server.database.tables import layouts, metadata

SHARD_KEY = "server_id"
# Of which the others take the number of shards and their places.
FIRST = layouts
# Up to 32 nodes; a commit that reaches all shards takes longer with each.
SHARDS = 32
MOST_SHARDS = 1_024

_EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
_DISTRIBUTED = """
SELECT relation.relname, dist.partmethod::text, dist.colocationid,
       (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = dist.logicalrelid),
       CASE dist.partmethod WHEN 'h' THEN column_to_column_name(dist.logicalrelid, dist.partkey) END
FROM pg_dist_partition AS dist JOIN pg_class AS relation ON relation.oid = dist.logicalrelid
WHERE relation.relnamespace = current_schema()::regnamespace
"""


class CannotDistribute(BongsuError):
    """The database cannot be distributed as it is."""

    code = "cannot_distribute"


def metric_tables() -> list[Table]:
    """The tables that are distributed: ``server_id`` is the first column of their keys, and not the only one."""
    keys = [(table, [column.name for column in table.primary_key]) for table in metadata.sorted_tables]
    tables = [table for table, key in keys if len(key) > 1 and key[0] == SHARD_KEY]
    return sorted(tables, key=lambda table: (table is not FIRST, table.name))


def has_citus(connection: Connection) -> bool:
    """Whether the extension is installed in this database."""
    return connection.dialect.name == "postgresql" and connection.scalar(text(_EXTENSION)) is not None


def distributed_tables(connection: Connection) -> dict[str, int]:
    """Name -> number of shards, of the metric tables that are distributed as they should be.

    Raises:
        CannotDistribute: one of them is distributed otherwise.
    """
    found = {name: rest for name, *rest in connection.execute(text(_DISTRIBUTED))}
    shards: dict[str, int] = {}
    for table in metric_tables():
        if table.name not in found:
            continue
        method, colocation, count, column = found[table.name]
        if column != SHARD_KEY or (FIRST.name in found and colocation != found[FIRST.name][1]):
            how = f"by {column}" if method == "h" else "to all nodes" if method == "n" else "otherwise"
            beside = f", not beside {FIRST.name}" if column == SHARD_KEY else ""
            raise CannotDistribute(
                f"{table.name} is distributed {how}{beside}. Undo that first: "
                f"SELECT undistribute_table('{table.name}');"
            )
        shards[table.name] = count
    return shards


def distribute_new(connection: Connection) -> list[str]:
    """After an upgrade: distributes the metric tables that it has added, if the others are. Returns their names."""
    if not has_citus(connection) or FIRST.name not in (done := distributed_tables(connection)):
        return []
    new = [table.name for table in metric_tables() if table.name not in done]
    for name in new:
        distribute_table(connection, name, None)
    return new


def distribute_table(connection: Connection, name: str, shards: int | None) -> None:
    """Distributes one metric table. ``shards``: how many; None: as FIRST, beside it."""
    how = "colocate_with := :first" if shards is None else "shard_count := :shards, colocate_with := 'none'"
    values = {"name": name, "column": SHARD_KEY, "first": FIRST.name, "shards": shards}
    connection.execute(text(f"SELECT create_distributed_table(:name, :column, {how})"), values)
    # Else the rows would stay on the coordinator as well, unseen.
    connection.execute(text("SELECT truncate_local_data_after_distributing_table(:name)"), {"name": name})
