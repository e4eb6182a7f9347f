"""Servers and collectors with intervals of their own: sums, growth, current values and completeness, through the API."""

from pathlib import Path

import pytest

from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.pushes import CPU, LAYOUT, a_frame, a_push

MINUTE_MS = 60_000
START = 1_750_000_000_000 // (60 * MINUTE_MS) * 60 * MINUTE_MS
TEN_MINUTES = 10 * MINUTE_MS
LOAD = Series("load_average_1m")
CHECKS = Series("checks_total", (), "", Kind.COUNTER)
EACH_MINUTE = Layout.of((LOAD, CHECKS))


def steady(step_ms: int, value: float = 1.0) -> list[Frame]:
    """Frames of LAYOUT for ten minutes."""
    return [a_frame(START + at_ms, (value, 1.0, 1.0)) for at_ms in range(0, TEN_MINUTES, step_ms)]


def each_minute() -> list[Frame]:
    """Frames of EACH_MINUTE for ten minutes; the counter grows by one."""
    return [Frame(EACH_MINUTE.id, START + number * MINUTE_MS, pack((0.5, 100.0 + number))) for number in range(10)]


async def push(app: RunningApp, sent: list[Frame], layout: Layout = LAYOUT, **agent: object) -> None:
    assert (await app.push(a_push(sent, layouts=[layout], **agent))).status_code == 200  # type: ignore[arg-type]


async def test_a_sum_over_servers_of_different_intervals_does_not_alternate(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + TEN_MINUTES)) as app:
        await push(app, steady(10_000))
        await push(app, steady(MINUTE_MS), name="slow", interval_ms=MINUTE_MS)
        # Also a server whose agent claims 10 s and sends every minute.
        await push(app, steady(MINUTE_MS), name="liar")
        for step in ({}, {"step": "10s"}, {"step": "45s"}, {"resolution": "raw"}):
            answer = await app.get(
                "/api/metrics/history",
                metric="cpu_usage_ratio",
                across="sum",
                aggregation="avg",
                start=START,
                end=START + TEN_MINUTES,
                **step,
            )
            (total,) = answer["series"]
            assert answer["step_ms"] >= MINUTE_MS
            assert set(total["values"]) == {3.0}, step
        # No agent claims a minute here: only the frames tell it.
        without_slow = await app.get(
            "/api/metrics/history",
            metric="cpu_usage_ratio",
            server=[1, 3],
            across="sum",
            aggregation="avg",
            step="10s",
            start=START,
            end=START + TEN_MINUTES,
        )
        assert without_slow["step_ms"] == MINUTE_MS
        assert set(without_slow["series"][0]["values"]) == {2.0}
        alone = await app.get(
            "/api/metrics/history", metric="cpu_usage_ratio", server=1, step="10s", start=START, end=START + TEN_MINUTES
        )
        assert (alone["step_ms"], len(alone["series"][0]["values"])) == (10_000, 60), "a single series keeps its step"


async def test_the_extremes_of_a_group_fit_its_values(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + TEN_MINUTES)) as app:
        for name, value in (("one", 1.0), ("two", 3.0)):
            sent = [
                a_frame(START + at_ms, (value + at_ms // 10_000 % 2, 1.0, 1.0))
                for at_ms in range(0, TEN_MINUTES, 10_000)
            ]
            await push(app, sent, name=name)
        expected = {"sum": (4.0, 5.0, 6.0), "avg": (1.0, 2.5, 4.0), "min": (1.0, 1.5, 4.0), "max": (1.0, 3.5, 4.0)}
        for across, found in expected.items():
            answer = await app.get(
                "/api/metrics/history",
                metric="cpu_usage_ratio",
                across=across,
                step="1m",
                start=START,
                end=START + TEN_MINUTES,
            )
            (group,) = answer["series"]
            points = zip(group["min"], group["values"], group["max"], strict=True)
            assert set(points) == {found}, across


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param("5m", [5.0], id="by minutes"),
        pytest.param("150s", [3.0, 2.0], id="from raw samples"),
    ],
)
async def test_a_counter_that_is_sampled_each_minute_grows_from_the_sample_before_the_range(
    tmp_path: Path, step: str, expected: list[float]
) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + TEN_MINUTES)) as app:
        await push(app, steady(10_000))
        await push(app, each_minute(), EACH_MINUTE)
        answer = await app.get(
            "/api/metrics/history",
            metric="checks_total",
            aggregation="increase",
            step=step,
            start=START + 5 * MINUTE_MS,
            end=START + TEN_MINUTES,
        )
        assert answer["series"][0]["values"] == expected


async def test_current_has_slow_collectors_and_leaves_out_what_is_gone(tmp_path: Path) -> None:
    gone = Layout.of((CPU, Series("filesystem_used_bytes", (("mountpoint", "/usb"),), "bytes")))
    async with running_app(tmp_path, clock=FakeClock(START + TEN_MINUTES)) as app:
        before = [Frame(gone.id, START - at_ms, pack((0.1, 5.0))) for at_ms in range(100_000, 0, -10_000)]
        await push(app, before, gone)
        await push(app, each_minute(), EACH_MINUTE)
        await push(app, steady(10_000))
        found = {
            "cpu_usage_ratio",
            "memory_used_bytes",
            "network_receive_bytes_total",
            "load_average_1m",
            "checks_total",
        }
        (server,) = (await app.get("/api/metrics/current"))["servers"]
        assert {series["metric"] for series in server["series"]} == found
    # The intervals are known after a restart as well.
    async with running_app(tmp_path, clock=FakeClock(START + TEN_MINUTES)) as app:
        (server,) = (await app.get("/api/metrics/current"))["servers"]
        assert {series["metric"] for series in server["series"]} == found


async def test_one_layout_does_not_hide_that_another_is_missing(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + TEN_MINUTES)) as app:
        every_10_s = steady(10_000)
        await push(app, every_10_s[:40])  # no more after 400 s
        await push(app, [frame for number, frame in enumerate(each_minute()) if number != 4], EACH_MINUTE)
        (server,) = (await app.get("/api/metrics/completeness", start=START, end=START + TEN_MINUTES))["servers"]
        gaps = [(gap["start_ms"] - START, gap["end_ms"] - START, gap["missing"]) for gap in server["gaps"]]
        assert (180_000, 300_000, 1) in gaps, "the minute layout lacks a frame"
        assert server["stored"] == 49
        assert [missing for start_ms, _, missing in gaps if start_ms == 390_000] == [20]
