"""Deletes what is older than its retention.

Every ten minutes, some hundred rows a transaction, with a pause after each so that ingest gets its turn.
"""

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from bongsu.core.units import parse_duration_ms
from bongsu.server.jobs.base import Job
from bongsu.server.storage.archive import delete_blocks_before
from bongsu.server.storage.frames import delete_frames_before
from bongsu.server.storage.processes import delete_process_lists_before

logger = logging.getLogger(__name__)

# 200 frames of 150 values are 240 KB: some milliseconds.
ROWS_PER_TRANSACTION = 200
# A block of 108,000 samples has 30 KB.
BLOCKS_PER_TRANSACTION = 20


class Retention(Job):
    """What is older than ``retention_raw``: frames, blocks all of whose frames are, process lists."""

    name = "retention"
    every_seconds = 600

    async def run(self, stopping: asyncio.Event) -> None:
        before_ms = self.clock.now_ms() - parse_duration_ms(self.settings.retention_raw, field="retention_raw")
        frames = await self._delete(delete_frames_before, before_ms, ROWS_PER_TRANSACTION, stopping)
        blocks = await self._delete(delete_blocks_before, before_ms, BLOCKS_PER_TRANSACTION, stopping)
        lists = await self._delete(delete_process_lists_before, before_ms, ROWS_PER_TRANSACTION, stopping)
        if frames or blocks or lists:
            logger.info("retention: %d frames, %d blocks and %d process lists deleted", frames, blocks, lists)

    async def _delete(
        self, delete: Callable[[Connection, int, int], int], before_ms: int, most: int, stopping: asyncio.Event
    ) -> int:
        deleted = 0
        while not stopping.is_set():
            count = await self.database.write(lambda connection: delete(connection, before_ms, most))
            deleted += count
            if count < most:
                break
            await asyncio.sleep(0.01)
        return deleted
