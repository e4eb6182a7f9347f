"""What can be proved not to have been lost, through the API; clocks of agents, and their tags."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete

from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server.database.tables import frames
from bongsu.server.storage.archive import SPAN_MS, TIERS
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS, Compactor
from bongsu.server.storage.floors import raise_floor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.jobs import database_of, run_jobs
from tests.support.pushes import CPU, a_frame, a_push, a_ramp

NOW = 1_750_000_000_000
START = NOW // SPAN_MS * SPAN_MS
STEP_MS = 30_000
PER_SPAN = SPAN_MS // STEP_MS


async def push(app: RunningApp, sent: list[Frame], interval_ms: int = STEP_MS) -> None:
    for first in range(0, len(sent), 1_000):
        answer = await app.push(a_push(sent[first : first + 1_000], interval_ms=interval_ms))
        assert answer.status_code == 200


async def judged(app: RunningApp, **parameters: object) -> tuple[int, int, list[tuple[int, int, int]]]:
    """(stored, expected, gaps) of the one server."""
    answer = await app.get("/api/metrics/completeness", **parameters)
    (one,) = answer["servers"]
    assert one["ratio"] == (one["stored"] / one["expected"] if one["expected"] else None)
    gaps = [(gap["start_ms"] - START, gap["end_ms"] - START, gap["missing"]) for gap in one["gaps"]]
    return one["stored"], one["expected"], gaps


async def test_a_gap_is_found_and_filled(tmp_path: Path) -> None:
    sent = a_ramp(START, 100, STEP_MS)
    lost = sent[40:50]
    async with running_app(tmp_path, clock=FakeClock(START + 100 * STEP_MS)) as app:
        await push(app, [frame for frame in sent if frame not in lost])
        hole = (39 * STEP_MS, 50 * STEP_MS, 10)
        assert await judged(app) == (90, 100, [hole])
        await run_jobs(app.clock, tmp_path, Sealer)
        assert await judged(app) == (90, 100, [hole])
        await push(app, lost)
        assert await judged(app) == (100, 100, [])


async def test_jitter_and_layouts_beside_each_other_are_no_gaps(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + 100 * STEP_MS)) as app:
        await push(app, [a_frame(START + number * STEP_MS + number * 7_919 % 4_000) for number in range(100)])
        other = Layout.of((CPU,))
        beside = [a_frame(START + number * STEP_MS, (1.0,), other) for number in range(0, 100, 2)]
        await app.push(a_push(beside, layouts=[other], interval_ms=STEP_MS))
        stored, expected, gaps = await judged(app)
        assert (stored, gaps) == (expected, [])


@pytest.mark.parametrize("days", [pytest.param(8, id="by the minute"), pytest.param(31, id="by the hour")])
async def test_rollups_tell_it_when_the_frames_are_gone(tmp_path: Path, days: int) -> None:
    sent = a_ramp(START, 2 * PER_SPAN, STEP_MS)
    lost = sent[100:200]
    async with running_app(tmp_path, clock=FakeClock(START + 2 * SPAN_MS + GRACE_MS + STAGGER_MS)) as app:
        await push(app, [frame for frame in sent if frame not in lost])
        whole = {"start": START, "end": START + 2 * SPAN_MS}
        before = await judged(app, **whole)
        assert before[:2] == (len(sent) - 100, len(sent))
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        assert await judged(app, **whole) == before
        app.clock.advance(days * 86_400)
        await run_jobs(app.clock, tmp_path, Retention)
        stored, expected, gaps = await judged(app, **whole)
        assert (stored, expected) == before[:2]
        assert sum(missing for *_, missing in gaps) == 100


async def test_a_server_that_is_down_is_missed_and_one_that_is_up_is_not(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + 10 * STEP_MS)) as app:
        await push(app, a_ramp(START, 10, STEP_MS))
        app.clock.advance(2 * STEP_MS / 1000)
        assert (await judged(app))[1] == 10, "two intervals without a frame are no loss yet"
        app.clock.advance(100 * STEP_MS / 1000)
        stored, expected, (gap,) = await judged(app)
        assert (stored, expected, gap[2]) == (10, 112, 102)


async def test_an_interval_that_changed_counts_from_then_on(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + 10 * STEP_MS)) as app:
        await push(app, a_ramp(START, 10, STEP_MS))
        first = START + 10 * STEP_MS
        await push(app, a_ramp(first, 1, 5_000), 5_000)
        await push(app, a_ramp(first + 5_000, 59, 5_000), 5_000)
        app.clock.advance(300)
        assert await judged(app, start=START) == (70, 70, [])


async def test_a_range_before_there_was_a_server_expects_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        await push(app, a_ramp(START, 1, STEP_MS))
        assert await judged(app, start="-2d", end="-1d") == (0, 0, [])


async def test_a_clock_that_is_wrong_or_jumps_is_flagged_and_frames_are_stored_as_sent(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:

        async def sends(offset_ms: int, frame_ms: int) -> dict[str, object]:
            sent_ms = app.clock.now_ms() + offset_ms
            answer = await app.push(replace(a_push([a_frame(frame_ms)]), sent_ms=sent_ms))
            assert answer.status_code == 200
            (server,) = (await app.get("/api/servers"))["servers"]
            return {name: server[name] for name in ("clock", "clock_offset_ms", "clock_jump_ms")}

        assert await sends(1_800, NOW) == {"clock": "ok", "clock_offset_ms": 1_800, "clock_jump_ms": None}
        app.clock.advance(10)
        assert await sends(-300, NOW - 60_000) == {"clock": "ok", "clock_offset_ms": -300, "clock_jump_ms": None}, (
            "a late frame is no wrong clock"
        )
        app.clock.advance(10)
        assert (await sends(-900, NOW + 1))["clock_offset_ms"] == -300, "a push that was under way for longer"
        held_up = await sends(-3_600_000, NOW + 2)
        assert held_up["clock_offset_ms"] == -300, "or that one"
        back = await sends(-3_600_000, NOW - 3_580_000)
        assert back == {"clock": "behind", "clock_offset_ms": -3_600_000, "clock_jump_ms": NOW + 20_000}
        app.clock.advance(10)
        assert (await sends(60_000, NOW + 90_000))["clock"] == "ahead"
        times = (await app.get("/api/metrics/history", metric="cpu_usage_ratio", start="-2h", end=NOW + 100_000))[
            "series"
        ][0]["times"]
        assert times == [NOW - 3_580_000, NOW - 60_000, NOW, NOW + 1, NOW + 2, NOW + 90_000]
    async with running_app(tmp_path, clock=app.clock) as again:
        (server,) = (await again.get("/api/servers"))["servers"]
        assert (server["clock"], server["clock_jump_ms"]) == ("ahead", NOW + 30_000), "it is remembered"


async def test_tags_of_the_agent_select_and_group_servers(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for name, role, cpu in (("web-1", "web", 0.2), ("web-2", "web", 0.4), ("db-1", "db", 0.9)):
            one = a_push([a_frame(NOW - 20_000, (cpu, 1.0, 1.0)), a_frame(NOW - 10_000, (cpu, 1.0, 2.0))], name=name)
            one.agent.tags = {"role": role}
            assert (await app.push(one)).status_code == 200
        servers = (await app.get("/api/servers"))["servers"]
        assert [one["tags"] for one in servers] == [{"role": "web"}, {"role": "web"}, {"role": "db"}]
        current = await app.get("/api/metrics/current", tag="role!=web", metric="cpu_usage_ratio")
        assert [one["server_id"] for one in current["servers"]] == [3]
        current = await app.get("/api/metrics/current", name="WEB-*", metric="cpu_usage_ratio")
        assert [one["server_id"] for one in current["servers"]] == [1, 2]
        answer = await app.get(
            "/api/metrics/history", metric="cpu_usage_ratio", across="avg", group_by="tag:role", step="1m"
        )
        found = {one["labels"]["tag:role"]: one for one in answer["series"]}
        assert found["web"]["values"] == [pytest.approx(0.3)]
        assert (found["web"]["min"], found["web"]["max"], found["web"]["members"]) == ([0.2], [0.4], 2)
        assert found["db"]["values"] == [0.9]
        assert found["db"]["server_id"] is None
        one = await app.get("/api/metrics/history", metric="cpu_usage_ratio", across="p50", step="1m")
        assert [series["values"] for series in one["series"]] == [[pytest.approx(0.4)]]
        for bad in ({"group_by": "server"}, {"across": "rate"}, {"across": "avg", "group_by": "colour"}):
            assert (await app.client.get("/api/metrics/history", params=bad)).status_code == 400


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        pytest.param({"site": "서울"}, 200, id="fine"),
        pytest.param({"": "x"}, 400, id="no name"),
        pytest.param({f"t{number}": "x" for number in range(17)}, 413, id="too many"),
        pytest.param({"site": "x" * 300}, 400, id="too long"),
        pytest.param({"site": "a\0b"}, 400, id="NUL"),
    ],
)
async def test_tags_are_checked(tmp_path: Path, tags: dict[str, str], status: int) -> None:
    async with running_app(tmp_path) as app:
        one = a_push([a_frame(NOW)])
        one.agent.tags = tags
        answer = await app.push(one)
        assert answer.status_code == status


async def test_time_of_which_nothing_is_kept_does_not_count(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + 100 * STEP_MS)) as app:
        await push(app, a_ramp(START, 100, STEP_MS))
        floor_ms = START + 50 * STEP_MS

        def give_up(connection: Connection) -> None:
            for tier in TIERS:
                raise_floor(connection, tier, floor_ms)
            connection.execute(delete(frames).where(frames.c.time_ms < floor_ms))

        await database_of(app).write(give_up)
        assert await judged(app, start=START, end=START + 100 * STEP_MS) == (50, 50, [])
        (server,) = (await app.get("/api/metrics/completeness", start=START))["servers"]
        assert server["start_ms"] == floor_ms
