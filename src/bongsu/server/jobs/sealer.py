"""Seals frames into blocks.

A layout's frames are sealed FRAMES_PER_BLOCK at a time, or when the oldest has waited MAX_AGE_MS: a server that went
away, a layout that is no more, frames that came late. Computing happens outside of transactions; each block is one
short transaction that puts the block in and takes its frames out, so a kill at any point leaves either the frames or
the block. Frames that the archive holds already (sent again after they were sealed) are only taken out.
"""

import asyncio
import logging
import zlib

import numpy as np

from bongsu.core.samples import Frame
from bongsu.server.columns import Times, Values
from bongsu.server.jobs.base import Job
from bongsu.server.storage.archive import (
    FramesChanged,
    StoredBlock,
    Unsealed,
    blocks_between,
    oldest_frames,
    replace_frames,
    unsealed,
)
from bongsu.server.storage.blocks import Block, CorruptBlock, encode_block
from bongsu.server.storage.frames import FrameTable

logger = logging.getLogger(__name__)

# 2 hours at 10 s. Twice as many take 11 % less room but leave twice as many frames as rows, at 30 times their size.
FRAMES_PER_BLOCK = 720
# Servers that started together do not all seal together: each waits for up to so many frames more.
STAGGER_FRAMES = 120
MAX_AGE_MS = 6 * 3_600_000
# Younger ones stay rows when a block is made for age, or frames that come in one by one would be sealed one by one.
LEAVE_MS = 3_600_000


def due(one: Unsealed, now_ms: int) -> bool:
    """Whether frames of this layout are to be sealed now."""
    # Knuth's multiplicative hash: neighbouring ids land far apart.
    stagger = (one.server_id * 2_654_435_761) % 2**32 % STAGGER_FRAMES
    return one.count >= FRAMES_PER_BLOCK + stagger or one.oldest_ms < now_ms - MAX_AGE_MS


def make_block(server_id: int, layout_id: int, times: Times, values: Values) -> StoredBlock:
    """A block row of these frames."""
    data = encode_block(times, values)
    return StoredBlock(server_id, layout_id, int(times[0]), int(times[-1]), len(times), zlib.crc32(data), data)


class Sealer(Job):
    """Frames to blocks."""

    name = "sealer"
    every_seconds = 15

    async def run(self, stopping: asyncio.Event) -> None:
        for one in await self.database.read(unsealed):
            now_ms = self.clock.now_ms()
            if not due(one, now_ms):
                continue
            waited = one.oldest_ms < now_ms - MAX_AGE_MS
            left = one.count
            while not stopping.is_set() and (left >= FRAMES_PER_BLOCK or (waited and left > 0)):
                before_ms = now_ms - LEAVE_MS if left < FRAMES_PER_BLOCK else None
                sealed = await self._seal(one, before_ms)
                if not sealed:
                    break
                left -= sealed

    async def _seal(self, one: Unsealed, before_ms: int | None) -> int:
        """Seals the oldest frames of one layout. Returns how many rows that took out."""
        frames = await self.database.read(
            lambda connection: oldest_frames(connection, one.server_id, one.layout_id, FRAMES_PER_BLOCK, before_ms)
        )
        if not frames:
            return 0
        overlapping = await self.database.read(
            lambda connection: blocks_between(
                connection, one.server_id, one.layout_id, frames[0].time_ms, frames[-1].time_ms + 1
            )
        )
        block = _block_of_new(one, frames, overlapping)
        try:
            await self.database.write(
                lambda connection: replace_frames(connection, one.server_id, one.layout_id, frames, block)
            )
        except FramesChanged:
            # A late frame came into the span meanwhile; the next round takes it along.
            return 0
        return len(frames)


def _block_of_new(one: Unsealed, frames: list[Frame], overlapping: list[StoredBlock]) -> StoredBlock | None:
    table = FrameTable.of(frames)
    times, values = table.times, table.values
    for stored in overlapping:
        try:
            there = np.isin(times, Block.open(stored.data).times)
        except CorruptBlock:
            # What it held cannot be read any more; better twice than not at all.
            logger.error("block of server %d at %d is corrupt", stored.server_id, stored.start_ms)
            continue
        times, values = times[~there], values[~there]
    return make_block(one.server_id, one.layout_id, times, values) if len(times) else None
