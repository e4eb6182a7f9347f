"""Seals frames into blocks.

The frames of a layout are sealed FRAMES_PER_BLOCK at a time, or when the oldest has waited MAX_AGE_MS (long intervals,
servers that went away, late frames). The computation runs outside of transactions. Each block is written in one short
transaction that inserts the block and deletes its frames, so a kill at any point leaves either the frames or the block.
Frames that are in the archive already (sent again after they were sealed) are only deleted. Frames that do not fit
their layout go into quarantine, and whatever else fails for one layout leaves the others alone.
"""

import asyncio
import logging
import math
from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
from sqlalchemy import Connection, delete, insert

from bongsu.arrays import Times, Values
from bongsu.core.clock import Clock
from bongsu.core.errors import NotFound
from bongsu.core.liveness import SHORTEST_INTERVAL_MS
from bongsu.core.samples import Frame
from bongsu.core.units import MINUTE_MS
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.database.tables import blocks
from bongsu.server.job import Job, from_anywhere
from bongsu.server.storage.archive import (
    SPAN_MS,
    BlockInfo,
    StoredBlock,
    block_row,
    heads_of,
    make_block,
    same_block,
)
from bongsu.server.storage.blocks import CorruptBlock, Head, encode_block
from bongsu.server.storage.frames import (
    Unsealed,
    columns_of,
    count_frames,
    oldest_frames,
    oldest_unsealed,
    take_frames,
    unsealed,
)
from bongsu.server.storage.layouts import LayoutKey, load_layout
from bongsu.server.storage.quarantine import quarantine_frames

logger = logging.getLogger(__name__)

# 12 minutes at 1 s. Blocks can be small because they do not last: when their span has ended, one block replaces them
# (storage/compactor.py). An unsealed frame takes 20 times the space of a sealed one.
FRAMES_PER_BLOCK = 720
# 180 frames at 10 s.
MAX_AGE_MS = 30 * MINUTE_MS
# Spreads the sealing of servers that started together: each waits for up to this much more.
STAGGER_FRAMES = 120
STAGGER_MS = 10 * MINUTE_MS
# Frames that arrive one by one, half an hour late, are not sealed one by one.
AGAIN_MS = 10 * MINUTE_MS
# The newest frames stay unsealed, so that frames that are a little late can join them.
LEAVE_MS = MINUTE_MS
COUNT_ALL_SECONDS = 3_600


def due(layout: Unsealed, now_ms: int, last_ms: float = -math.inf) -> bool:
    """Whether to seal frames of this layout now. ``last_ms``: when it was last sealed because of their age."""
    # Knuth's multiplicative hash: neighbouring ids land far apart.
    spread = (layout.server_id * 2_654_435_761) % 2**32
    if layout.count >= FRAMES_PER_BLOCK + spread % STAGGER_FRAMES:
        return True
    return layout.oldest_ms < now_ms - MAX_AGE_MS - spread % STAGGER_MS and last_ms <= now_ms - AGAIN_MS


def seal(key: LayoutKey, times: Times, values: Values) -> StoredBlock:
    """The block row of these frames."""
    packed = encode_block(times, values)
    return make_block(key, int(times[0]), int(times[-1]), len(times), packed, rolled=False)


class FramesChanged(Exception):
    """Frames, or values of frames, arrived in the range while it was being sealed; read it again."""


def replace_frames(connection: Connection, key: LayoutKey, sealed: Sequence[Frame], block: StoredBlock | None) -> None:
    """Deletes the frames and inserts the block. ``block`` None: the archive has all of them already.

    Raises:
        FramesChanged: the range holds other frames than ``sealed``. The transaction must be rolled back.
    """
    # Their values count, too: samples of others than agents join frames that exist already.
    if take_frames(connection, key, sealed[0].time_ms, sealed[-1].time_ms) != list(sealed):
        raise FramesChanged
    if block is not None:
        # A block with the same start exists only if its head is corrupt, so that nobody knew what it holds.
        connection.execute(delete(blocks).where(same_block(block.info)))
        connection.execute(insert(blocks).values(block_row(block)))


class Sealer(Job):
    """Turns frames into blocks."""

    name = "sealer"
    every_seconds = 15

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        # When each layout was last sealed because of the age of its frames.
        self._sealed_ms: dict[LayoutKey, int] = {}
        # Length of a frame of each layout.
        self._frame_bytes: dict[LayoutKey, int] = {}
        # When each layout can have enough frames for a block, and when to look at everything again: at frames without
        # a layout, too. On the clock that never jumps: a clock that is set back must not put the sealing off.
        self._count_at: dict[LayoutKey, float] = {}
        self._count_all_at = -math.inf

    async def run(self, stopping: asyncio.Event) -> None:
        waiting = await self._waiting()
        for layout in from_anywhere(waiting):
            key = (layout.server_id, layout.layout_id)
            if stopping.is_set() or self.failures.waits(key):
                continue
            with self.failures.isolated(key, f"sealing layout {key[1]} of server {key[0]}"):
                await self._seal_due(key, layout, stopping)

    async def _waiting(self) -> list[Unsealed]:
        """The layouts that may be due. Frames are counted only where there can be enough of them: all of 1,000 servers,
        counted every 15 s, would occupy PostgreSQL for most of the time."""
        now = self.clock.monotonic()
        if now >= self._count_all_at:
            self._count_all_at = now + COUNT_ALL_SECONDS
            waiting = await self.database.read(unsealed)
        else:
            oldest = await self.database.read(oldest_unsealed)
            old_ms = self.clock.now_ms() - MAX_AGE_MS
            keys = [key for key, time_ms in oldest.items() if time_ms < old_ms or now >= self._count_at.get(key, now)]
            counts = await self.database.read(partial(count_frames, keys=keys))
            waiting = [Unsealed(*key, counts[key], oldest[key]) for key in keys if counts[key]]
            self._forget_all_but(oldest)
        for layout in waiting:
            missing = max(FRAMES_PER_BLOCK - layout.count, 0)
            self._count_at[layout.server_id, layout.layout_id] = now + missing * SHORTEST_INTERVAL_MS / 1000
        return waiting

    def _forget_all_but(self, present: Collection[LayoutKey]) -> None:
        for known in (self._sealed_ms, self._frame_bytes, self._count_at):
            for key in known.keys() - present:
                del known[key]

    async def _seal_due(self, key: LayoutKey, layout: Unsealed, stopping: asyncio.Event) -> None:
        now_ms = self.clock.now_ms()
        if not due(layout, now_ms, self._sealed_ms.get(key, -math.inf)):
            return
        waited = layout.oldest_ms < now_ms - MAX_AGE_MS
        if waited:
            self._sealed_ms[key] = now_ms
        left = layout.count
        while not stopping.is_set() and (left >= FRAMES_PER_BLOCK or (waited and left > 0)):
            before_ms = now_ms - LEAVE_MS if left < FRAMES_PER_BLOCK else None
            sealed = await self._seal(key, before_ms)
            if not sealed:
                break
            left -= sealed

    async def _seal(self, key: LayoutKey, before_ms: int | None) -> int:
        """Seals the oldest frames of one layout. Returns the number of frames that are no longer rows."""
        frames = await self.database.read(
            lambda connection: oldest_frames(connection, key, FRAMES_PER_BLOCK, before_ms)
        )
        # Fewer than were counted: another worker has sealed the others.
        if not frames or (before_ms is None and len(frames) < FRAMES_PER_BLOCK):
            return 0
        size = await self._size_of_frames(key)
        damaged = [frame for frame in frames if len(frame.values) != size]
        if damaged:
            found_ms = self.clock.now_ms()
            await self.database.write(lambda connection: quarantine_frames(connection, key, damaged, found_ms))
            logger.error("server %d: %d frames do not fit layout %d: put into quarantine", key[0], len(damaged), key[1])
            return len(damaged)
        span_end_ms = frames[0].time_ms - frames[0].time_ms % SPAN_MS + SPAN_MS
        frames = [frame for frame in frames if frame.time_ms < span_end_ms]
        overlapping = await self.database.read(
            lambda connection: heads_of(connection, [key], frames[0].time_ms, frames[-1].time_ms + 1)
        )
        block = _block_of_new(key, frames, overlapping)
        try:
            await self.database.write(lambda connection: replace_frames(connection, key, frames, block))
        except FramesChanged:
            # Something late arrived in the range; the next run seals it with the others.
            return 0
        return len(frames)

    async def _size_of_frames(self, key: LayoutKey) -> int:
        """The bytes of a frame of this layout."""
        size = self._frame_bytes.get(key)
        if size is None:
            layout = await self.database.read(lambda connection: load_layout(connection, *key))
            if layout is None:
                raise NotFound(f"Layout {key[1]} is not stored.")
            size = self._frame_bytes[key] = 8 * len(layout.series)
        return size


def _block_of_new(
    key: LayoutKey, frames: list[Frame], overlapping: list[tuple[BlockInfo, bytes]]
) -> StoredBlock | None:
    times, values = columns_of([frame.time_ms for frame in frames], [frame.values for frame in frames])
    for info, head in overlapping:
        try:
            sealed = np.isin(times, Head.open(head, info.checksum).times)
        except CorruptBlock:
            # Nobody knows what it holds; a frame stored twice is better than a frame lost.
            logger.error("server %d: the block at %d is corrupt", info.server_id, info.start_ms)
            continue
        times, values = times[~sealed], values[~sealed]
    return seal(key, times, values) if len(times) else None
