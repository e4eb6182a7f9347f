"""One damaged row costs itself only: everything else is sealed, compacted, read, and told."""

import asyncio
import zlib
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bongsu.core.series import Layout, Series
from bongsu.core.units import MINUTE_MS
from bongsu.server.database.tables import blocks, frames, layouts, quarantined_frames
from bongsu.server.job import RETRY_MS
from bongsu.server.storage import compactor
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS, Compactor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import MAX_AGE_MS, Sealer
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.jobs import count, database_of, run_jobs
from tests.support.pushes import LAYOUT, a_push, a_ramp

NOW = 1_750_000_000_000
SPAN = NOW // SPAN_MS * SPAN_MS
OTHER = Layout.of((Series("memory_used_bytes", (), "bytes"),))


async def damage(app: RunningApp, time_ms: int) -> None:
    """Cuts the last byte off the frames of one time."""
    wrong = update(frames).where(frames.c.time_ms == time_ms, frames.c.layout_id == LAYOUT.id)
    await database_of(app).write(lambda connection: connection.execute(wrong.values(values=b"1234567")))


async def push(app: RunningApp, layout: Layout, start_ms: int, number: int) -> None:
    sent = a_ramp(start_ms, number)
    if layout is not LAYOUT:
        for frame in sent:
            frame.layout_id, frame.values = layout.id, frame.values[: 8 * len(layout.series)]
    assert (await app.push(a_push(sent, layouts=[layout]))).status_code == 200


async def test_a_damaged_frame_goes_into_quarantine_and_the_others_are_sealed(tmp_path: Path) -> None:
    clock = FakeClock(SPAN + 2 * MAX_AGE_MS)
    async with running_app(tmp_path, clock=clock) as app:
        await push(app, LAYOUT, SPAN, 60)
        await push(app, OTHER, SPAN, 60)
        await damage(app, SPAN + 100_000)
        # Readable before it is sealed, apart from the damaged frame, which the answer names.
        answer = await app.get("/api/metrics/history", metric="cpu_usage_ratio", start=SPAN, end=SPAN + 600_000)
        assert len(answer["series"][0]["times"]) == 59
        assert [gap["start_ms"] for gap in answer["missing"]] == [SPAN + 100_000]
        await run_jobs(clock, tmp_path, Sealer, Sealer)
        clock.advance(seconds=MAX_AGE_MS / 1000)
        await run_jobs(clock, tmp_path, Sealer)
        database = database_of(app)
        assert await count(database, frames) == 0
        assert await count(database, quarantined_frames) == 1
        query = select(blocks.c.layout_id, blocks.c.frames).order_by(blocks.c.frames)
        sealed = await database.read(lambda connection: [tuple(row) for row in connection.execute(query)])
        assert sealed == [(LAYOUT.id, 59), (OTHER.id, 60)]
        assert (await app.get("/api/health"))["storage"]["quarantined_frames"] == 1
        clock.advance(seconds=8 * 86_400)
        await run_jobs(clock, tmp_path, Retention)
        assert await count(database, quarantined_frames) == 0


async def test_a_layout_that_cannot_be_read_stops_nothing_and_its_agent_mends_it(tmp_path: Path) -> None:
    clock = FakeClock(SPAN + 2 * MAX_AGE_MS)
    async with running_app(tmp_path, clock=clock) as app:
        await push(app, LAYOUT, SPAN, 60)
        await push(app, OTHER, SPAN, 60)
        broken = update(layouts).where(layouts.c.layout_id == LAYOUT.id).values(series=zlib.compress(b"[["))
        await database_of(app).write(lambda connection: connection.execute(broken))
        await run_jobs(clock, tmp_path, Sealer)
        assert await count(database_of(app), blocks, blocks.c.layout_id == OTHER.id) == 1
        assert await count(database_of(app), blocks, blocks.c.layout_id == LAYOUT.id) == 0
    # The API server starts all the same, asks the agent for the layout, and stores it over the damaged row.
    async with running_app(tmp_path, clock=clock) as app:
        more = a_ramp(clock.now_ms() - 10_000, 1)
        assert (await app.push(a_push(more, layouts=[]))).status_code != 200
        assert (await app.push(a_push(more, layouts=[LAYOUT]))).status_code == 200
        clock.advance(seconds=RETRY_MS / 1000)
        await run_jobs(clock, tmp_path, Sealer)
        assert await count(database_of(app), blocks, blocks.c.layout_id == LAYOUT.id) == 1


async def test_a_span_that_cannot_be_compacted_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(SPAN + 2 * MAX_AGE_MS)
    compact = compactor.compact

    def fails_for_one(key: tuple[int, int], *arguments: object) -> object:
        if key[1] == LAYOUT.id:
            raise ValueError("this span only")
        return compact(key, *arguments)  # type: ignore[arg-type]

    async with running_app(tmp_path, clock=clock) as app:
        await push(app, LAYOUT, SPAN, 60)
        await push(app, OTHER, SPAN, 60)
        await run_jobs(clock, tmp_path, Sealer)
        clock.advance(seconds=(SPAN_MS + GRACE_MS + STAGGER_MS + MINUTE_MS) / 1000)
        monkeypatch.setattr(compactor, "compact", fails_for_one)
        job = Compactor(app.services.settings, database_of(app), clock)
        await job.run(asyncio.Event())
        assert await count(database_of(app), blocks, blocks.c.rolled == 0) == 1
        assert [(failure.what, failure.reason) for failure in job.failures.oldest_first()] == [
            (f"compacting layout {LAYOUT.id} of server 1 at {SPAN}", "ValueError: this span only")
        ]
        # It is tried again, but not at once.
        monkeypatch.setattr(compactor, "compact", compact)
        await job.run(asyncio.Event())
        assert await count(database_of(app), blocks, blocks.c.rolled == 0) == 1
        clock.advance(seconds=RETRY_MS / 1000)
        await job.run(asyncio.Event())
        assert await count(database_of(app), blocks, blocks.c.rolled == 0) == 0
        assert job.failures.oldest_first() == []
