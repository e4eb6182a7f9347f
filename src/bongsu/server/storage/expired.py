"""Statements that find and delete what is below a floor. Finding reads only; a transaction that writes is short."""

from collections.abc import Sequence

from sqlalchemy import Connection, Select, Table, func, select

from bongsu.server.database.dialect import delete_by_key, distinct
from bongsu.server.database.tables import blocks, rollups
from bongsu.server.storage.archive import RAW, SPAN_MS
from bongsu.server.storage.frames import has_frames
from bongsu.server.storage.layouts import LayoutKey

# (server id, layout id, start) of a block, or of a rollup row.
RowKey = tuple[int, int, int]


def stored_layouts(connection: Connection) -> list[LayoutKey]:
    """Every layout that has blocks or rollups."""
    keys = {
        (server_id, layout_id)
        for table in (blocks, rollups)
        for server_id, layout_id in distinct(connection, table.c.server_id, table.c.layout_id)
    }
    return sorted(keys)


def rows_below(connection: Connection, tier: int, keys: Sequence[LayoutKey], floor_ms: int, limit: int) -> list[RowKey]:
    """Up to ``limit`` rows of each layout that start before ``floor_ms``.

    Of raw samples only blocks that are part of the rollups, in spans without late frames: compaction needs all samples
    of a span to add late frames exactly once.
    """
    found: list[RowKey] = []
    for key in keys:
        if tier != RAW:
            starts = list(connection.scalars(_starts(rollups, key, floor_ms, limit).where(rollups.c.step_ms == tier)))
        else:
            starts = list(connection.scalars(_starts(blocks, key, floor_ms, limit).where(blocks.c.rolled == 1)))
            spans = {start_ms - start_ms % SPAN_MS for start_ms in starts}
            late = {span_ms for span_ms in spans if _is_pending(connection, key, span_ms)}
            starts = [start_ms for start_ms in starts if start_ms - start_ms % SPAN_MS not in late]
        found.extend((*key, start_ms) for start_ms in starts)
    return found


def _starts(table: Table, key: LayoutKey, floor_ms: int, limit: int) -> Select[int]:
    of_layout = (table.c.server_id == key[0], table.c.layout_id == key[1], table.c.start_ms < floor_ms)
    return select(table.c.start_ms).where(*of_layout).order_by(table.c.start_ms).limit(limit)


def _is_pending(connection: Connection, key: LayoutKey, span_ms: int) -> bool:
    """Whether a span has frames that are not part of the rollups yet."""
    unrolled = select(blocks.c.start_ms).where(
        blocks.c.server_id == key[0],
        blocks.c.layout_id == key[1],
        blocks.c.start_ms >= span_ms,
        blocks.c.start_ms < span_ms + SPAN_MS,
        blocks.c.rolled == 0,
    )
    if connection.execute(unrolled.limit(1)).first() is not None:
        return True
    return has_frames(connection, key, span_ms, span_ms + SPAN_MS)


def delete_rows(connection: Connection, tier: int, rows: Sequence[RowKey]) -> int:
    """Deletes these rows. Returns how many were still there."""
    table = blocks if tier == RAW else rollups
    key = (table.c.server_id, table.c.layout_id, table.c.start_ms)
    kind = table.c.rolled == 1 if tier == RAW else table.c.step_ms == tier
    return delete_by_key(connection, table, key, rows, kind)


def oldest_row_ms(connection: Connection, tier: int, keys: Sequence[LayoutKey]) -> int | None:
    """The start of the oldest row that may be deleted."""
    table = blocks if tier == RAW else rollups
    kind = table.c.rolled == 1 if tier == RAW else table.c.step_ms == tier
    oldest = (
        connection.scalar(
            select(func.min(table.c.start_ms)).where(table.c.server_id == key[0], table.c.layout_id == key[1], kind)
        )
        for key in keys
    )
    return min((start_ms for start_ms in oldest if start_ms is not None), default=None)
