"""Compacts spans that have ended: merges their blocks and makes their rollups.

A span is due some time after its end, once all its frames are sealed, and again when late frames are sealed into it.
The computation runs in a thread, outside of transactions; the result is written in one short transaction, which fails
if the span has changed meanwhile and is tried again in the next run. So a kill at any point, or two workers at once,
leave each sample in the rollups exactly once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import blocks, rollups
from bongsu.server.job import Job, from_anywhere
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
from bongsu.server.storage.floors import floors
from bongsu.server.storage.frames import has_frames
from bongsu.server.storage.layouts import LayoutKey, load_layout

logger = logging.getLogger(__name__)

# By then frames that were on their way at the end of the span have arrived.
GRACE_MS = 10 * MINUTE_MS
# The spans of all servers end at the same moment; their compaction is spread over this time.
STAGGER_MS = 30 * MINUTE_MS


def due_ms(key: LayoutKey, span_ms: int) -> int:
    """When a span is due."""
    return span_ms + SPAN_MS + GRACE_MS + (key[0] * 2_654_435_761) % 2**32 % STAGGER_MS


class SpanChanged(Exception):
    """Blocks or rollups of the span changed while it was being compacted; read it again."""


def not_rolled(connection: Connection) -> list[tuple[LayoutKey, int]]:
    """(key, start of the span) of every span with frames that are not part of the rollups yet."""
    query = select(blocks.c.server_id, blocks.c.layout_id, blocks.c.start_ms).where(blocks.c.rolled == 0)
    return sorted({((row[0], row[1]), row[2] - row[2] % SPAN_MS) for row in connection.execute(query)})


def replace_blocks(
    connection: Connection,
    read: Sequence[StoredBlock],
    new_blocks: Sequence[StoredBlock],
    rows: Sequence[tuple[StoredRollup, int | None]],
) -> None:
    """Replaces the blocks ``read`` (all of a span) with the compacted ones, and the rollup rows with the new ones.

    ``rows``: each row, and the checksum of the row it replaces; None: it replaces none.

    Raises:
        SpanChanged: they have changed meanwhile. The transaction must be rolled back.
    """
    for block in read:
        same = (
            same_block(block.info),
            blocks.c.checksum == block.info.checksum,
            blocks.c.rolled == int(block.info.rolled),
        )
        if connection.execute(delete(blocks).where(*same)).rowcount != 1:
            raise SpanChanged
    if new_blocks:
        connection.execute(insert(blocks), [block_row(block) for block in new_blocks])
    for row, old_checksum in rows:
        _replace_rollup(connection, row, old_checksum)


def _replace_rollup(connection: Connection, row: StoredRollup, old_checksum: int | None) -> None:
    values = {name: getattr(row, name) for name in StoredRollup.__slots__}
    key = {column.name for column in rollups.primary_key}
    if old_checksum is None:
        result = connection.execute(insert_or_ignore(connection, rollups).values(values))
    else:
        result = connection.execute(
            update(rollups)
            .where(
                rollups.c.server_id == row.server_id,
                rollups.c.layout_id == row.layout_id,
                rollups.c.step_ms == row.step_ms,
                rollups.c.start_ms == row.start_ms,
                rollups.c.checksum == old_checksum,
            )
            # Citus changes no column that it distributes by, not even to the same value.
            .values({name: value for name, value in values.items() if name not in key})
        )
    if result.rowcount != 1:
        raise SpanChanged


class Compactor(Job):
    """Turns the blocks of a span into larger blocks and rollups."""

    name = "compactor"
    every_seconds = 30

    async def run(self, stopping: asyncio.Event) -> None:
        now_ms = self.clock.now_ms()
        for key, span_ms in from_anywhere(await self.database.read(not_rolled)):
            if stopping.is_set():
                break
            if due_ms(key, span_ms) > now_ms or self.failures.waits((key, span_ms)):
                continue
            with self.failures.isolated((key, span_ms), f"compacting layout {key[1]} of server {key[0]} at {span_ms}"):
                await self.compact(key, span_ms)

    async def compact(self, key: LayoutKey, span_ms: int) -> None:
        """Compacts one span, unless some of its frames are not sealed yet, or another worker has done it."""

        def read(connection: Connection) -> Callable[[], Compacted] | None:
            if has_frames(connection, key, span_ms, span_ms + SPAN_MS):
                return None
            layout = load_layout(connection, *key)
            stored = blocks_between(connection, key, span_ms, span_ms + SPAN_MS)
            if layout is None or all(block.info.rolled for block in stored):
                return None
            minutes = _row_at(connection, key, MINUTE_MS, span_ms)
            hours = _row_at(connection, key, HOUR_MS, span_ms)
            tier_floors = floors(connection)
            return lambda: compact(key, layout, span_ms, stored, minutes, hours, tier_floors)

        compute = await self.database.read(read)
        if compute is None:
            return
        compacted = await asyncio.to_thread(compute)
        try:
            await self.database.write(
                lambda connection: replace_blocks(connection, compacted.read, compacted.blocks, compacted.rollups)
            )
        except SpanChanged:
            logger.debug("server %d: the span at %d changed while it was compacted", key[0], span_ms)


def _row_at(connection: Connection, key: LayoutKey, step_ms: int, span_ms: int) -> StoredRollup | None:
    """The rollup row of one tier that covers a span."""
    row_ms = span_ms - span_ms % ROW_SPAN_MS[step_ms]
    rows = rollups_between(connection, key, step_ms, row_ms, row_ms + ROW_SPAN_MS[step_ms])
    return next((row for row in rows if row.start_ms == row_ms), None)
