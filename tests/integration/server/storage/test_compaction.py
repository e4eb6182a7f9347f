"""Compaction and rollups, through the API: the answers of a tier are the answers of the samples."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.tables import blocks, frames, rollups
from bongsu.server.storage.archive import SPAN_MS, blocks_between
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.compaction import compact
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS, Compactor, SpanChanged, not_rolled, replace_blocks
from bongsu.server.storage.floors import floors, raise_floor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.jobs import count, database_of, run_jobs
from tests.support.pushes import CPU, LAYOUT, RECEIVED, a_frame, a_push, a_ramp

DAY_MS = 86_400_000
# The start of a span; three spans of frames every 20 s follow.
START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
STEP_MS = 20_000
PER_SPAN = SPAN_MS // STEP_MS
# When all three have been over for long enough.
LATER = START + 3 * SPAN_MS + GRACE_MS + STAGGER_MS


def three_spans() -> list[Frame]:
    return a_ramp(START, 3 * PER_SPAN, STEP_MS)


async def push_all(app: RunningApp, sent: list[Frame], layout: Layout = LAYOUT) -> None:
    for start in range(0, len(sent), 1_000):
        push = a_push(sent[start : start + 1_000], layouts=[layout], interval_ms=STEP_MS)
        assert (await app.push(push)).status_code == 200


async def answers(app: RunningApp, resolution: str, **parameters: Any) -> dict[str, Any]:
    """Every aggregation that rollups know, by hour, as metric -> time -> (value, min, max)."""
    found = {}
    for metric, aggregation in [
        *(("cpu_usage_ratio", how) for how in ("avg", "min", "max", "sum", "last", "count")),
        *(("network_receive_bytes_total", how) for how in ("rate", "increase", "last", "count")),
    ]:
        answer = await app.get(
            "/api/metrics/history",
            **{"start": START, "end": START + 3 * SPAN_MS, "step": "1h"} | parameters,
            metric=metric,
            aggregation=aggregation,
            resolution=resolution,
        )
        assert answer["resolution"] == resolution
        assert answer["missing"] == []
        for one in answer["series"]:
            extremes = ("min", "max") if metric.startswith("cpu") else ()
            lists = [one[name] for name in ("values", *extremes)]
            found[one["metric"], aggregation] = dict(zip(one["times"], zip(*lists, strict=True), strict=True))
    return found


def agree(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether all points are the same but for rounding."""
    assert found.keys() == expected.keys()
    for key, points in expected.items():
        assert found[key].keys() == points.keys(), key
        for time_ms, point in points.items():
            assert found[key][time_ms] == pytest.approx(point, rel=1e-9), (key, time_ms)
    return True


async def compacted_app(app: RunningApp, tmp_path: Path, sent: list[Frame]) -> None:
    await push_all(app, sent)
    await run_jobs(app.clock, tmp_path, Sealer, Compactor)


async def test_a_span_becomes_one_block_and_its_rollups(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await push_all(app, three_spans())
        before = await answers(app, "raw")
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await count(database_of(app), blocks) > 3
        assert agree(await answers(app, "1m"), before), "what is not rolled up yet is answered from the samples"
        await run_jobs(app.clock, tmp_path, Compactor)
        assert await count(database_of(app), blocks) == await count(database_of(app), blocks, blocks.c.rolled == 1) == 3
        assert await count(database_of(app), rollups, rollups.c.step_ms == MINUTE_MS) == 3
        for resolution in ("raw", "1m", "1h"):
            assert agree(await answers(app, resolution), before), resolution
        stored = await database_of(app).read(lambda connection: connection.execute(select(rollups)).all())
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        assert await database_of(app).read(lambda connection: connection.execute(select(rollups)).all()) == stored


async def test_a_span_waits_until_it_is_over_and_quiet(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + SPAN_MS)) as app:
        await compacted_app(app, tmp_path, a_ramp(START, PER_SPAN, STEP_MS))
        assert await count(database_of(app), rollups) == 0, "it has only just ended"
        app.clock.advance((GRACE_MS + STAGGER_MS) / 1000)
        await app.push(a_push([a_frame(START + 1)], interval_ms=STEP_MS))
        await run_jobs(app.clock, tmp_path, Compactor)
        assert await count(database_of(app), rollups) == 0, "a late frame is still a row"
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        assert await count(database_of(app), rollups, rollups.c.step_ms == MINUTE_MS) == 1


async def test_late_frames_correct_the_rollups(tmp_path: Path) -> None:
    sent = three_spans()
    late = [frame for number, frame in enumerate(sent) if number % 7 == 3]
    async with running_app(tmp_path / "whole", clock=FakeClock(LATER)) as app:
        await compacted_app(app, tmp_path / "whole", [frame for frame in sent if frame not in late])
        for frames_late in (late[:200], late[100:]):  # some of them twice
            await push_all(app, frames_late)
            await run_jobs(app.clock, tmp_path / "whole", Sealer, Compactor)
        raw = await answers(app, "raw")
        assert sum(point[0] for point in raw["cpu_usage_ratio", "count"].values()) == len(sent)
        assert agree(await answers(app, "1m"), raw)
        assert agree(await answers(app, "1h"), raw)
        assert await count(database_of(app), blocks) == 3


async def test_late_frames_of_a_span_that_was_given_up_are_added(tmp_path: Path) -> None:
    """The API refuses them; they may have come in just before the floor rose, while the worker did not run."""
    sent = three_spans()
    late = sent[PER_SPAN // 2 : PER_SPAN]
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await push_all(app, sent)
        expected = await answers(app, "raw")
    other = tmp_path / "other"
    other.mkdir()
    async with running_app(other, clock=FakeClock(LATER), database_url=f"sqlite:///{other / 'b.db'}") as app:
        settings = {"database_url": f"sqlite:///{other / 'b.db'}"}
        await push_all(app, [frame for frame in sent if frame not in late])
        await run_jobs(app.clock, other, Sealer, Compactor, **settings)
        app.clock.advance(8 * DAY_MS / 1000)
        await run_jobs(app.clock, other, Retention, **settings)
        assert await count(database_of(app), blocks) == 0
        for part in (late[: len(late) // 2], late[len(late) // 2 :]):
            late_batch = Batch(1, part)
            await database_of(app).write(lambda connection, batch=late_batch: store(connection, [batch]))
            await run_jobs(app.clock, other, Sealer, Compactor, **settings)
            assert await count(database_of(app), blocks) == await count(database_of(app), frames) == 0
        assert agree(await answers(app, "1m"), expected)
        assert agree(await answers(app, "1h"), expected)


async def test_a_layout_that_changes_splits_blocks_and_loses_nothing(tmp_path: Path) -> None:
    sent = three_spans()
    other = Layout.of((RECEIVED, CPU))
    cut = PER_SPAN + PER_SPAN // 3 + 1  # within a minute of the second span
    moved = [a_frame(frame.time_ms, _swapped(frame), other) for frame in sent[cut:]]
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await push_all(app, sent[:cut])
        await push_all(app, moved, other)
        raw = await answers(app, "raw")
        assert sum(point[0] for point in raw["network_receive_bytes_total", "count"].values()) == len(sent)
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        for resolution in ("raw", "1m", "1h"):
            assert agree(await answers(app, resolution), raw), resolution


def _swapped(frame: Frame) -> tuple[float, float]:
    from bongsu.core.samples import unpack

    cpu, _, received = unpack(frame.values)
    return received, cpu


async def test_a_span_that_changes_while_it_is_compacted_is_left_alone(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await compacted_app(app, tmp_path, three_spans()[:PER_SPAN])
        database = database_of(app)
        key = (1, LAYOUT.id)
        stored = await database.read(lambda connection: blocks_between(connection, key, START, START + SPAN_MS))
        known = await database.read(floors)
        done = compact(key, LAYOUT, START, stored, None, None, known)
        await database.write(lambda connection: connection.execute(update(blocks).values(rolled=0)))
        with pytest.raises(SpanChanged):
            await database.write(lambda connection: replace_blocks(connection, done.read, done.blocks, done.rollups))
        assert await count(database, blocks) == 1
        assert await count(database, rollups) == 2


async def test_a_block_that_cannot_be_read_stays_and_so_do_its_rollups(tmp_path: Path) -> None:
    sent = three_spans()
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await compacted_app(app, tmp_path, sent)
        before = await answers(app, "1m")
        database = database_of(app)
        await database.write(
            lambda connection: connection.execute(
                update(blocks).where(blocks.c.start_ms == START).values(data=b"\0", rolled=0)
            )
        )
        await push_all(app, [a_frame(START + 1)])
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        assert await count(database, blocks, blocks.c.rolled == 0) == 0
        damaged = await database.read(
            lambda connection: connection.scalar(select(blocks.c.data).where(blocks.c.start_ms == START))
        )
        assert damaged == b"\0"
        assert agree(await answers(app, "1m"), before)


async def test_many_series_and_short_intervals_are_compacted_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bongsu.server.storage.compaction.MAX_VALUES", 1_000)
    monkeypatch.setattr("bongsu.server.storage.compaction.MAX_FRAMES", 100)
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await push_all(app, three_spans())
        raw = await answers(app, "raw")
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        assert await count(database_of(app), blocks) == 3 * -(-PER_SPAN // 100)
        for resolution in ("raw", "1m", "1h"):
            assert agree(await answers(app, resolution), raw), resolution


async def test_a_floor_never_falls(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        database = database_of(app)
        for floor_ms in (5_000, 3_000):
            await database.write(lambda connection, floor_ms=floor_ms: raise_floor(connection, HOUR_MS, floor_ms))
        assert await database.read(floors) == {0: 0, MINUTE_MS: 0, HOUR_MS: 5_000}


async def test_what_another_worker_has_compacted_is_not_compacted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = 0

    def counted(*arguments: Any) -> Any:
        nonlocal computed
        computed += 1
        return compact(*arguments)

    monkeypatch.setattr("bongsu.server.storage.compactor.compact", counted)
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await push_all(app, three_spans())
        await run_jobs(app.clock, tmp_path, Sealer)
        other = Compactor(app.services.settings, database_of(app), app.clock)
        due = await database_of(app).read(not_rolled)
        await run_jobs(app.clock, tmp_path, Compactor)
        for key, span_ms in due:
            await other.compact(key, span_ms)
    assert computed == len(due) == 3
