"""The worker: starts on an empty database, does its jobs, and ends when told."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bongsu.server import worker as worker_module
from bongsu.server.config import Settings
from bongsu.server.database.database import open_database
from bongsu.server.database.job_runs import SILENT_MS
from bongsu.server.database.tables import blocks
from bongsu.server.job import Job
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.sealer import FRAMES_PER_BLOCK, STAGGER_FRAMES
from bongsu.server.worker import Worker
from tests.support.app import running_app
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


class Broken(Job):
    """Fails as a whole at each run."""

    name = "broken"
    every_seconds = 0.01

    async def run(self, stopping: asyncio.Event) -> None:
        raise ValueError("no\nluck")


class Half(Job):
    """Fails for one of its items."""

    name = "half"
    every_seconds = 0.01

    async def run(self, stopping: asyncio.Event) -> None:
        for item in (1, 2):
            if not self.failures.waits(item):
                with self.failures.isolated(item, f"item {item}"):
                    assert item == 1, "two is broken"


async def test_health_tells_what_the_worker_does_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "JOBS", (Broken, Half))
    monkeypatch.setattr(worker_module, "TELL_SECONDS", 0.01)
    clock = FakeClock()
    async with running_app(tmp_path, clock=clock) as app:
        assert (await app.get("/api/health"))["problems"] == []
        worker = Worker(app.services.settings, clock)
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(60):
            while len(problems := (await app.get("/api/health"))["problems"]) < 2:
                await asyncio.sleep(0.02)
        worker.stop()
        await running
        assert [(problem["code"], problem["message"]) for problem in problems] == [
            ("job_failing", "broken fails: ValueError: no"),
            ("items_failing", "half fails for 1 of its items: item 2: AssertionError: two is broken"),
        ]
        jobs = (await app.get("/api/health"))["jobs"]
        assert [(job["name"], job["failing"], job["good_ms"] > 0) for job in jobs] == [
            ("broken", 0, False),
            ("half", 1, True),
        ]
        told_ms = clock.now_ms()
        clock.advance(seconds=SILENT_MS / 1000 + 1)
        health = await app.get("/api/health")
        assert [(problem["code"], problem["since_ms"]) for problem in health["problems"]] == [
            ("worker_silent", told_ms)
        ]
        del app.client.headers["Authorization"]
        assert (await app.get("/api/health"))["status"] == "degraded"
