"""Sealing, through the API: what was pushed is what is read, before and after."""

import asyncio
import math
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.tables import blocks, frames
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.frames import Unsealed, count_frames, oldest_frames, replace_frame, unsealed
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.sealer import (
    AGAIN_MS,
    FRAMES_PER_BLOCK,
    LEAVE_MS,
    MAX_AGE_MS,
    STAGGER_FRAMES,
    STAGGER_MS,
    FramesChanged,
    Sealer,
    due,
    replace_frames,
)
from tests.support.app import RunningApp, running_app
from tests.support.jobs import count, database_of, run_jobs
from tests.support.pushes import LAYOUT, a_frame, a_push, a_ramp

NOW = 1_750_000_000_000
MANY = FRAMES_PER_BLOCK + STAGGER_FRAMES
# MANY frames up to 10 s before NOW, all of them within one span.
START = NOW - MANY * 10_000
# Those of the last minute stay rows.
LEFT = LEAVE_MS // 10_000
assert START // SPAN_MS == NOW // SPAN_MS


async def rows(app: RunningApp) -> tuple[int, int]:
    """How many frames and how many blocks the database holds."""
    database = database_of(app)
    return await count(database, frames), await count(database, blocks)


async def push_all(app: RunningApp, sent: list) -> None:
    for start in range(0, len(sent), 500):
        assert (await app.push(a_push(sent[start : start + 500]))).status_code == 200


async def history(app: RunningApp, **parameters: object) -> dict[str, dict[int, float]]:
    answer = await app.get("/api/metrics/history", start=NOW - 86_400_000, end=NOW + 1, max_points=10_000, **parameters)
    return {one["metric"]: dict(zip(one["times"], one["values"], strict=True)) for one in answer["series"]}


async def test_sealing_changes_no_answer(tmp_path: Path) -> None:
    sent = a_ramp(NOW - 1_000 * 10_000, 1_000)
    async with running_app(tmp_path) as app:
        await push_all(app, sent)
        raw, hourly = await history(app, step="30m"), await history(app, aggregation="last", step="5m")
        current = await app.get("/api/metrics/current")
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await rows(app) == (LEFT, 2)
        assert await history(app, step="30m") == raw
        assert await history(app, aggregation="last", step="5m") == hourly
        assert await app.get("/api/metrics/current") == current
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await rows(app) == (LEFT, 2), "sealing again does nothing"


async def test_late_frames_make_further_blocks_and_merge_by_time(tmp_path: Path) -> None:
    sent = a_ramp(NOW - 2_000 * 10_000, 2_000)
    live, late = [frame for i, frame in enumerate(sent) if i % 2], [frame for i, frame in enumerate(sent) if not i % 2]
    async with running_app(tmp_path) as app:
        await push_all(app, live)
        await run_jobs(app.clock, tmp_path, Sealer)
        await push_all(app, late)
        await run_jobs(app.clock, tmp_path, Sealer)
        assert (await rows(app))[1] >= 2
        found = await history(app, metric="memory_used_bytes", aggregation="last", step="30s")
        last_of_bucket = {frame.time_ms // 30_000 * 30_000: 1024.0 * index for index, frame in enumerate(sent)}
        assert found["memory_used_bytes"] == last_of_bucket
        increase = await history(app, type="network", aggregation="increase", step="7d")
        assert sum(increase["network_receive_bytes_total"].values()) == 1_999 * 10_000.0


async def test_frames_sent_again_after_sealing_are_stored_once(tmp_path: Path) -> None:
    sent = a_ramp(START, MANY)
    async with running_app(tmp_path) as app:
        await push_all(app, sent)
        await run_jobs(app.clock, tmp_path, Sealer)
        before = await history(app, aggregation="sum", step="1d")
        await push_all(app, sent[:FRAMES_PER_BLOCK])
        assert await history(app, aggregation="sum", step="1d") == before, "also before they are taken out again"
        assert await rows(app) == (LEFT + FRAMES_PER_BLOCK, 2)
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await rows(app) == (LEFT, 2)
        assert await history(app, aggregation="sum", step="1d") == before


async def test_a_server_that_went_away_is_sealed_by_age_and_still_current(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push(a_ramp(NOW - 20_000, 3)))
        app.clock.advance(MAX_AGE_MS / 1000 - 30)
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await rows(app) == (3, 0)
        app.clock.advance(60 + STAGGER_MS / 1000)
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await rows(app) == (0, 1)
        current = await app.get("/api/metrics/current")
    async with running_app(tmp_path, clock=app.clock) as again:
        assert await again.get("/api/metrics/current") == current


async def test_a_frame_that_comes_in_while_sealing_is_not_lost(database_url: str) -> None:
    database = open_database(database_url)
    await database.write(upgrade)
    await database.write(lambda connection: store(connection, [Batch(1, [a_frame(1_000), a_frame(3_000)], [LAYOUT])]))
    read = await database.read(lambda connection: oldest_frames(connection, (1, LAYOUT.id), 10))
    await database.write(lambda connection: store(connection, [Batch(1, [a_frame(2_000)])]))
    with pytest.raises(FramesChanged):
        await database.write(lambda connection: replace_frames(connection, (1, LAYOUT.id), read, None))
    left = await database.read(lambda connection: oldest_frames(connection, (1, LAYOUT.id), 10))
    assert [frame.time_ms for frame in left] == [1_000, 2_000, 3_000]
    await database.close()


async def test_values_that_join_a_frame_while_it_is_sealed_are_not_lost(database_url: str) -> None:
    database = open_database(database_url)
    await database.write(upgrade)
    await database.write(lambda connection: store(connection, [Batch(1, [a_frame(1_000), a_frame(3_000)], [LAYOUT])]))
    key = (1, LAYOUT.id)
    read = await database.read(lambda connection: oldest_frames(connection, key, 10))
    joined = bytes(len(read[1].values))
    assert await database.write(lambda connection: replace_frame(connection, 1, read[1], joined))
    with pytest.raises(FramesChanged):
        await database.write(lambda connection: replace_frames(connection, key, read, None))
    left = await database.read(lambda connection: oldest_frames(connection, key, 10))
    assert [frame.values for frame in left] == [read[0].values, joined]
    await database.write(lambda connection: replace_frames(connection, key, left, None))
    assert not await database.read(lambda connection: oldest_frames(connection, key, 10))
    await database.close()


async def test_a_corrupt_block_costs_only_what_it_held(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sent = a_ramp(START, MANY)
    async with running_app(tmp_path) as app:
        await push_all(app, sent)
        await run_jobs(app.clock, tmp_path, Sealer)
        database = app.application.api.state.services.database
        first = blocks.c.start_ms == sent[0].time_ms
        await database.write(lambda connection: connection.execute(update(blocks).where(first).values(head=b"B2 no")))
        found = await history(app, metric="memory_used_bytes", aggregation="last", step="10s", resolution="raw")
        assert sorted(found["memory_used_bytes"]) == [frame.time_ms for frame in sent[FRAMES_PER_BLOCK:]]
        answer = await app.get("/api/metrics/history", metric="memory_used_bytes", start=START, end=NOW + 1)
        assert answer["missing"] == [
            {
                "server_id": 1,
                "start_ms": sent[0].time_ms,
                "end_ms": sent[FRAMES_PER_BLOCK - 1].time_ms + 1,
                "series": None,
            }
        ]
        assert "cannot be read" in caplog.text
        await push_all(app, sent[:FRAMES_PER_BLOCK])
        await run_jobs(app.clock, tmp_path, Sealer)
        healed = await history(app, metric="memory_used_bytes", aggregation="last", step="10s", resolution="raw")
        assert len(healed["memory_used_bytes"]) == MANY, "sent again, the frames take the place of what was damaged"


async def test_a_damaged_column_costs_only_its_series(tmp_path: Path) -> None:
    sent = a_ramp(START, FRAMES_PER_BLOCK + STAGGER_FRAMES)
    async with running_app(tmp_path) as app:
        await push_all(app, sent)
        await run_jobs(app.clock, tmp_path, Sealer)
        database = app.application.api.state.services.database
        first = blocks.c.start_ms == sent[0].time_ms
        stored = await database.read(lambda connection: connection.scalar(select(blocks.c.data).where(first)))
        damaged = bytes([stored[0], stored[1] ^ 1]) + stored[2:]
        await database.write(lambda connection: connection.execute(update(blocks).where(first).values(data=damaged)))
        answer = await app.get("/api/metrics/history", start=START, end=NOW + 1, step="10s", resolution="raw")
        counts = {one["metric"]: len(one["times"]) for one in answer["series"]}
        assert counts["memory_used_bytes"] == len(sent)
        assert counts["cpu_usage_ratio"] == len(sent) - FRAMES_PER_BLOCK
        assert [one["series"] for one in answer["missing"]] == ["cpu_usage_ratio"]


@pytest.mark.parametrize(
    ("count", "age_ms", "ago_ms", "expected"),
    [
        pytest.param(FRAMES_PER_BLOCK - 1, 0, math.inf, False, id="too few"),
        pytest.param(FRAMES_PER_BLOCK + STAGGER_FRAMES, 0, math.inf, True, id="enough for every stagger"),
        pytest.param(1, MAX_AGE_MS, math.inf, False, id="old, but not older than the limit"),
        pytest.param(1, MAX_AGE_MS + STAGGER_MS + 1, math.inf, True, id="older than the limit with every stagger"),
        pytest.param(1, 10 * MAX_AGE_MS, AGAIN_MS - 1, False, id="old, but others were sealed just now"),
        pytest.param(1, 10 * MAX_AGE_MS, AGAIN_MS, True, id="old, and the last ones were sealed a while ago"),
    ],
)
def test_when_frames_are_due(count: int, age_ms: int, ago_ms: float, expected: bool) -> None:
    assert due(Unsealed(5, 1, count, NOW - age_ms), NOW, NOW - ago_ms) is expected


def test_servers_that_started_together_seal_one_after_the_other() -> None:
    now = [sum(due(Unsealed(i, 1, FRAMES_PER_BLOCK + more, NOW), NOW) for i in range(1_000)) for more in range(120)]
    steps = [after - before for before, after in zip([0, *now], now, strict=False)]
    assert now[-1] == 1_000
    assert max(steps) < 30, "fewer than 30 of 1,000 at any one moment"


async def test_what_another_worker_has_sealed_leaves_the_newest_frames_alone(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push_all(app, a_ramp(START, MANY))
        other = Sealer(app.services.settings, database_of(app), app.clock)
        (counted,) = await database_of(app).read(unsealed)
        await run_jobs(app.clock, tmp_path, Sealer)
        left = await rows(app)
        await app.push(a_push(a_ramp(NOW, 5)))
        await other._seal_due((counted.server_id, counted.layout_id), counted, asyncio.Event())
        assert await rows(app) == (left[0] + 5, left[1])


async def test_frames_are_counted_only_where_there_may_be_enough_for_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    def spied(connection: Connection, keys: list[LayoutKey]) -> dict[LayoutKey, int]:
        counted.append(len(keys))
        return count_frames(connection, keys)

    monkeypatch.setattr("bongsu.server.storage.sealer.count_frames", spied)
    async with running_app(tmp_path) as app:
        sealer = Sealer(app.services.settings, database_of(app), app.clock)
        await app.push(a_push(a_ramp(NOW - 10_000, 1)))
        await sealer.run(asyncio.Event())
        assert counted == [], "after the start everything is counted at once"
        app.clock.advance(60)
        await sealer.run(asyncio.Event())
        assert counted == [0]
        # Frames of a second's interval, which came all at once.
        app.clock.advance(FRAMES_PER_BLOCK + STAGGER_FRAMES)
        await push_all(app, a_ramp(NOW, FRAMES_PER_BLOCK + STAGGER_FRAMES, 1_000))
        await sealer.run(asyncio.Event())
        assert counted == [0, 1]
        assert (await rows(app))[1] == 1


async def test_a_clock_that_is_set_back_does_not_put_off_the_counting(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        sealer = Sealer(app.services.settings, database_of(app), app.clock)
        await app.push(a_push(a_ramp(NOW - 10_000, 1)))
        await sealer.run(asyncio.Event())
        await push_all(app, a_ramp(NOW - MANY * 1_000, MANY, 1_000))
        app.clock.step(-86_400)
        app.clock.advance(FRAMES_PER_BLOCK)
        await sealer.run(asyncio.Event())
        assert (await rows(app))[1] == 1
