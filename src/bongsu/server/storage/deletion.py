"""Statements that delete what is stored of a deleted server, a few rows at a time.

The tables are in this order so that each is empty for good once it is empty: only parts become frames, only frames
become blocks, only blocks become rollups, and only what has a layout can be sealed or compacted.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from bongsu.server.database.dialect import delete_by_key
from bongsu.server.database.tables import (
    blocks,
    container_lists,
    deleted_servers,
    events,
    foreign_series,
    frames,
    intervals,
    layouts,
    parts,
    process_lists,
    quarantined_frames,
    rollups,
    servers,
)

# Table -> rows in a transaction, which takes some milliseconds: a frame of 150 series has 1.2 KB, the block of a span
# and a rollup row 170 KB each.
ROWS: dict[Table, int] = {
    parts: 100,
    foreign_series: 100,
    frames: 100,
    quarantined_frames: 100,
    blocks: 6,
    rollups: 6,
    process_lists: 100,
    container_lists: 100,
    layouts: 100,
    intervals: 100,
    events: 100,
}

RowKey = Sequence[Any]


def deleted(connection: Connection) -> dict[int, int]:
    """Id -> when it was deleted, of the servers of which something may still be stored."""
    query = select(deleted_servers.c.server_id, deleted_servers.c.deleted_ms)
    known = query.where(deleted_servers.c.server_id.not_in(select(servers.c.id)))
    return {row.server_id: row.deleted_ms for row in connection.execute(known)}


def some_rows(connection: Connection, table: Table, server_id: int) -> list[RowKey]:
    """The keys of the first rows of a server. Reads the index only."""
    query = select(*table.primary_key).where(table.c.server_id == server_id).order_by(*table.primary_key)
    return [tuple(row) for row in connection.execute(query.limit(ROWS[table]))]


def delete_some(connection: Connection, table: Table, keys: Sequence[RowKey]) -> int:
    """Deletes these rows. Returns how many were still there."""
    return delete_by_key(connection, table, list(table.primary_key), keys)


def forget_deleted(connection: Connection, server_id: int) -> None:
    """Nothing is stored of a server any more."""
    delete_by_key(connection, deleted_servers, [deleted_servers.c.server_id], [(server_id,)])
