"""Compacts spans that are over: their blocks into as few as possible, their samples into rollups.

A span is taken up when it has been over for a while and none of its frames still is a row; again when late frames were
sealed into it. Computing happens in a thread and outside of transactions; what comes of it is written in one short
transaction, which fails, and is tried again next time, if anybody changed the span meanwhile. So a kill at any point,
or two workers at once, leave each sample in the rollups once.
"""

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.job import Job
from bongsu.server.storage.archive import (
    ROW_SPAN_MS,
    SPAN_MS,
    Key,
    SpanChanged,
    StoredRollup,
    blocks_between,
    has_frames,
    not_rolled,
    replace_blocks,
    rollups_between,
)
from bongsu.server.storage.compaction import Compacted, compact
from bongsu.server.storage.layouts import load_layout
from bongsu.server.storage.retention import floors

logger = logging.getLogger(__name__)

# Frames that are on their way when a span ends have arrived by then.
GRACE_MS = 10 * MINUTE_MS
# The spans of all servers end at once; their compaction is spread over so much time.
STAGGER_MS = 30 * MINUTE_MS


def due_ms(key: Key, span_ms: int) -> int:
    """When a span is to be compacted."""
    return span_ms + SPAN_MS + GRACE_MS + (key[0] * 2_654_435_761) % 2**32 % STAGGER_MS


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

    async def compact(self, key: Key, span_ms: int) -> None:
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


def _row_at(connection: Connection, key: Key, step_ms: int, span_ms: int) -> StoredRollup | None:
    """The row of one tier that a span belongs to."""
    row_ms = span_ms - span_ms % ROW_SPAN_MS[step_ms]
    found = rollups_between(connection, key, step_ms, row_ms, row_ms + ROW_SPAN_MS[step_ms])
    return next((row for row in found if row.start_ms == row_ms), None)
