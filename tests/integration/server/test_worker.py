"""The worker: starts on an empty database, does its jobs, and ends when told."""

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from bongsu.server.config import Settings
from bongsu.server.database.database import open_database
from bongsu.server.database.tables import blocks
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.sealer import FRAMES_PER_BLOCK, STAGGER_FRAMES
from bongsu.server.worker import Worker
from tests.support.clock import FakeClock
from tests.support.pushes import LAYOUT, a_ramp


async def test_the_worker_seals_what_is_there_and_ends(database_url: str, tmp_path: Path) -> None:
    clock = FakeClock()
    worker = Worker(Settings(data_dir=tmp_path), clock)
    database = open_database(database_url)
    many = FRAMES_PER_BLOCK + STAGGER_FRAMES

    async def sealed() -> int:
        return await database.read(lambda connection: connection.scalar(select(func.count()).select_from(blocks)) or 0)

    # Two on one empty database: each upgrades, one finds it done.
    first, second = asyncio.create_task(worker.run()), asyncio.create_task(Worker(Settings(), clock).run())
    try:
        async with asyncio.timeout(120):
            worker.stop()
            await first
            frames = a_ramp(clock.now_ms() - many * 10_000, many)
            await database.write(lambda connection: store(connection, [Batch(1, frames, [LAYOUT])]))
            again = Worker(Settings(), clock)
            running = asyncio.create_task(again.run())
            while not await sealed():
                await asyncio.sleep(0.02)
            again.stop()
            await running
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await database.close()
