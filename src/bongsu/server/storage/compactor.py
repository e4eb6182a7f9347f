"""Compacts spans that are over: their blocks into as few as possible, their samples into rollups.

A span is taken up when it has been over for a while and none of its frames still is a row; again when late frames were
sealed into it. Computing happens in a thread and outside of transactions; what comes of it is written in one short
transaction, which fails, and is tried again next time, if anybody changed the span meanwhile. So a kill at any point,
or two workers at once, leave each sample in the rollups once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import blocks, rollups
from bongsu.server.job import Job
from bongsu.server.storage.archive import (
    ROW_SPAN_MS,
    SPAN_MS,
    StoredBlock,
    StoredRollup,
    block_row,
    blocks_between,
    rollups_between,
    same_block,
)
from bongsu.server.storage.compaction import Compacted, compact
from bongsu.server.storage.frames import has_frames
from bongsu.server.storage.layouts import LayoutKey, load_layout
from bongsu.server.storage.retention import floors

logger = logging.getLogger(__name__)

# Frames that are on their way when a span ends have arrived by then.
GRACE_MS = 10 * MINUTE_MS
# The spans of all servers end at once; their compaction is spread over so much time.
STAGGER_MS = 30 * MINUTE_MS


def due_ms(key: LayoutKey, span_ms: int) -> int:
    """When a span is to be compacted."""
    return span_ms + SPAN_MS + GRACE_MS + (key[0] * 2_654_435_761) % 2**32 % STAGGER_MS


class SpanChanged(Exception):
    """Blocks or rollups of the span changed while it was being compacted; it must be read again."""


def not_rolled(connection: Connection) -> list[tuple[LayoutKey, int]]:
    """(key, start of the span) of every span that holds frames which are not part of the rollups."""
    query = select(blocks.c.server_id, blocks.c.layout_id, blocks.c.start_ms).where(blocks.c.rolled == 0)
    return sorted({((row[0], row[1]), row[2] - row[2] % SPAN_MS) for row in connection.execute(query)})


def replace_blocks(
    connection: Connection,
    read: Sequence[StoredBlock],
    made: Sequence[StoredBlock],
    rows: Sequence[tuple[StoredRollup, int | None]],
) -> None:
    """Replaces the blocks ``read`` (all of a span) with the compacted ones, and the rollup rows with the new ones.

    ``rows``: each row, and the checksum of the row it replaces; None: it replaces none.

    Raises:
        SpanChanged: something else changed them meanwhile. The transaction must be rolled back.
    """
    for block in read:
        same = (
            same_block(block.info),
            blocks.c.checksum == block.info.checksum,
            blocks.c.rolled == int(block.info.rolled),
        )
        if connection.execute(delete(blocks).where(*same)).rowcount != 1:
            raise SpanChanged
    if made:
        connection.execute(insert(blocks), [block_row(block) for block in made])
    for row, old_checksum in rows:
        _replace_rollup(connection, row, old_checksum)


def _replace_rollup(connection: Connection, row: StoredRollup, old_checksum: int | None) -> None:
    values = {name: getattr(row, name) for name in StoredRollup.__slots__}
    if old_checksum is None:
        done = connection.execute(insert_or_ignore(connection, rollups).values(values))
    else:
        done = connection.execute(
            update(rollups)
            .where(
                rollups.c.server_id == row.server_id,
                rollups.c.layout_id == row.layout_id,
                rollups.c.step_ms == row.step_ms,
                rollups.c.start_ms == row.start_ms,
                rollups.c.checksum == old_checksum,
            )
            .values(values)
        )
    if done.rowcount != 1:
        raise SpanChanged


class Compactor(Job):
    """Blocks to larger blocks and rollups."""

    name = "compactor"
    every_seconds = 30

    async def run(self, stopping: asyncio.Event) -> None:
        now_ms = self.clock.now_ms()
        for key, span_ms in await self.database.read(not_rolled):
            if stopping.is_set():
                break
            if due_ms(key, span_ms) <= now_ms:
                await self.compact(key, span_ms)

    async def compact(self, key: LayoutKey, span_ms: int) -> None:
        """Compacts one span, unless it is not quiet."""

        def read(connection: Connection) -> Callable[[], Compacted] | None:
            if has_frames(connection, key, span_ms, span_ms + SPAN_MS):
                return None
            layout = load_layout(connection, *key)
            stored = blocks_between(connection, key, span_ms, span_ms + SPAN_MS)
            if layout is None or not stored:
                return None
            minutes = _row_at(connection, key, MINUTE_MS, span_ms)
            hours = _row_at(connection, key, HOUR_MS, span_ms)
            known = floors(connection)
            return lambda: compact(key, layout, span_ms, stored, minutes, hours, known)

        compute = await self.database.read(read)
        if compute is None:
            return
        done = await asyncio.to_thread(compute)
        try:
            await self.database.write(lambda connection: replace_blocks(connection, done.read, done.made, done.rollups))
        except SpanChanged:
            logger.debug("server %d: the span at %d changed while it was compacted", key[0], span_ms)


def _row_at(connection: Connection, key: LayoutKey, step_ms: int, span_ms: int) -> StoredRollup | None:
    """The row of one tier that a span belongs to."""
    row_ms = span_ms - span_ms % ROW_SPAN_MS[step_ms]
    found = rollups_between(connection, key, step_ms, row_ms, row_ms + ROW_SPAN_MS[step_ms])
    return next((row for row in found if row.start_ms == row_ms), None)
