"""Deletes what is older than its retention.

Every ten minutes, some hundred rows a transaction, with a pause after each so that ingest gets its turn.
"""

import asyncio
import logging

from bongsu.core.units import parse_duration_ms
from bongsu.server.jobs.base import Job
from bongsu.server.storage.archive import delete_blocks_before
from bongsu.server.storage.frames import delete_frames_before

logger = logging.getLogger(__name__)

# 200 frames of 150 values are 240 KB: some milliseconds.
ROWS_PER_TRANSACTION = 200
# A block of 108,000 samples has 30 KB.
BLOCKS_PER_TRANSACTION = 20


class Retention(Job):
    """Frames, and blocks all of whose frames are, older than ``retention_raw``."""

    name = "retention"
    every_seconds = 600

    async def run(self, stopping: asyncio.Event) -> None:
        before_ms = self.clock.now_ms() - parse_duration_ms(self.settings.retention_raw, field="retention_raw")
        deleted = 0
        while not stopping.is_set():
            count = await self.database.write(
                lambda connection: delete_frames_before(connection, before_ms, ROWS_PER_TRANSACTION)
            )
            deleted += count
            if count < ROWS_PER_TRANSACTION:
                break
            await asyncio.sleep(0.01)
        blocks = 0
        while not stopping.is_set():
            count = await self.database.write(
                lambda connection: delete_blocks_before(connection, before_ms, BLOCKS_PER_TRANSACTION)
            )
            blocks += count
            if count < BLOCKS_PER_TRANSACTION:
                break
            await asyncio.sleep(0.01)
        if deleted or blocks:
            logger.info("retention: %d frames and %d blocks deleted", deleted, blocks)
