"""How history is chosen, limited, cached and written down."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bongsu.core.series import Kind, Layout, Series
from bongsu.server.config import Limits
from bongsu.server.history import reader
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS, Compactor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.jobs import run_jobs
from tests.support.pushes import a_frame, a_push, a_ramp

START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
STEP_MS = 30_000
SPAN_FRAMES = SPAN_MS // STEP_MS
LATER = START + 2 * SPAN_MS + GRACE_MS + STAGGER_MS


async def filled(app: RunningApp, tmp_path: Path, *, name: str = "web-1") -> None:
    """Two compacted spans."""
    sent = a_ramp(START, 2 * SPAN_FRAMES, STEP_MS)
    for first in range(0, len(sent), 1_000):
        push = a_push(sent[first : first + 1_000], interval_ms=STEP_MS, name=name)
        assert (await app.push(push)).status_code == 200
    await run_jobs(app.clock, tmp_path, Sealer, Compactor)


async def history(app: RunningApp, **parameters: Any) -> dict[str, Any]:
    whole = {"metric": "cpu_usage_ratio", "start": START, "end": START + 2 * SPAN_MS}
    return await app.get("/api/metrics/history", **whole | parameters)


@pytest.mark.parametrize(
    ("parameters", "resolution", "step_ms"),
    [
        pytest.param({"max_points": 10_000}, "raw", None, id="all samples fit"),
        pytest.param({"max_points": 1_000}, "1m", 60_000, id="minutes give the points"),
        pytest.param({"max_points": 100}, "1m", 600_000, id="minutes make ten minutes"),
        pytest.param({"max_points": 10}, "1h", 7_200_000, id="hours make two"),
        pytest.param({"step": "90s"}, "raw", 90_000, id="no rollup divides the step"),
        pytest.param({"step": "2h"}, "1h", 7_200_000, id="the step is named"),
        pytest.param({"step": "2h", "resolution": "1m"}, "1m", 7_200_000, id="the resolution is named"),
        pytest.param({"max_points": 10, "aggregation": "p95"}, "raw", 7_200_000, id="percentiles need the samples"),
        pytest.param(
            {"max_points": 10, "aggregation": "max", "metric": "network_receive_bytes_total"},
            "raw",
            7_200_000,
            id="extremes of a counter need the samples",
        ),
    ],
)
async def test_the_coarsest_resolution_that_gives_the_points_is_chosen(
    tmp_path: Path, parameters: dict[str, Any], resolution: str, step_ms: int | None
) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await filled(app, tmp_path)
        answer = await history(app, **parameters)
        assert (answer["resolution"], answer["step_ms"]) == (resolution, step_ms)
        assert len(answer["series"][0]["times"]) > 1


async def test_what_was_given_up_is_answered_from_what_is_left(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await filled(app, tmp_path)
        app.clock.advance(8 * 86_400)
        await run_jobs(app.clock, tmp_path, Retention)
        answer = await history(app, max_points=10_000)
        assert (answer["resolution"], answer["step_ms"]) == ("1m", 60_000)
        assert len(answer["series"][0]["times"]) == 2 * SPAN_MS // 60_000
        answer = await history(app, step="90s")
        assert (answer["resolution"], answer["step_ms"]) == ("1m", 120_000)
        for parameters in ({"aggregation": "p50"}, {"aggregation": "avg", "metric": "network_receive_bytes_total"}):
            whole = {"metric": "cpu_usage_ratio", "start": START, "end": START + SPAN_MS} | parameters
            refused = await app.client.get("/api/metrics/history", params=whole)
            assert refused.status_code == 400
            assert refused.json()["error"]["code"] == "samples_given_up"
            assert refused.json()["error"]["field"] == "start"


@pytest.mark.parametrize(
    ("parameters", "code", "field"),
    [
        pytest.param({"step": "90s", "resolution": "1m"}, "invalid_input", "step", id="no multiple of a minute"),
        pytest.param(
            {"aggregation": "p95", "resolution": "1h"}, "samples_given_up", "resolution", id="percentile of hours"
        ),
    ],
)
async def test_what_cannot_be_answered_says_why(
    tmp_path: Path, parameters: dict[str, Any], code: str, field: str
) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER), limits=Limits(samples_per_query=1_000_000)) as app:
        wide = Layout.of(tuple(Series(f"wide_{number}", (), "") for number in range(1_000)))
        frames = [a_frame(START + number * 3_600_000, [1.0] * 1_000, wide) for number in (0, 11)]
        assert (await app.push(a_push(frames, layouts=[wide]))).status_code == 200
        whole = {"type": "wide", "start": START, "end": START + 2 * SPAN_MS, "limit": 1_000} | parameters
        refused = await app.client.get("/api/metrics/history", params=whole)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert (error["code"], error["field"]) == (code, field)


@pytest.mark.parametrize(
    ("claimed_ms", "slower"),
    [
        pytest.param(1_000, 0, id="it claims a second"),
        pytest.param(3_600_000, 0, id="it claims an hour"),
        pytest.param(10_000, 4, id="its interval is an hour since the last frames"),
    ],
)
async def test_too_much_to_read_is_refused_whatever_the_agent_claims(
    tmp_path: Path, claimed_ms: int, slower: int
) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER), limits=Limits(samples_per_query=1_000_000)) as app:
        wide = Layout.of(tuple(Series(f"wide_{number}", (), "") for number in range(1_000)))
        times = [START + number * 10_000 for number in range(1_100)]
        times += [times[-1] + (number + 1) * 3_600_000 for number in range(slower)]
        frames = [a_frame(time_ms, [1.0] * 1_000, wide) for time_ms in times]
        for first in range(0, len(frames), 400):
            push = a_push(frames[first : first + 400], layouts=[wide], interval_ms=claimed_ms)
            assert (await app.push(push)).status_code == 200
        whole = {"type": "wide", "start": START, "end": START + 11_000_000, "resolution": "raw", "max_points": 100}
        refused = await app.client.get("/api/metrics/history", params=whole | {"limit": 1_000})
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert (error["code"], error["field"], error["limit"]) == ("too_many_samples", "start", 1_000_000)
        # 900 of the 1,000 series are within the limit.
        answer = await app.client.get("/api/metrics/history", params=whole | {"limit": 900})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/metrics/history", "/api/metrics/completeness"])
@pytest.mark.parametrize("start", ["-9999999999y", "-" + "9" * 400 + "d", "9" * 5_000, "-280000y", "0001-01-01"])
async def test_a_start_before_all_time_is_no_bug(tmp_path: Path, path: str, start: str) -> None:
    async with running_app(tmp_path) as app:
        assert (await app.push(a_push([a_frame(app.clock.now_ms())]))).status_code == 200
        answer = await app.client.get(path, params={"metric": "cpu_usage_ratio", "server": 1, "start": start})
        assert answer.status_code in (200, 400, 422)


async def test_series_of_many_servers_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        for name in ("web-1", "web-2", "web-3"):
            await filled(app, tmp_path, name=name)
        whole = await history(app, max_points=50)
        monkeypatch.setattr("bongsu.server.history.reader.CHUNK_SAMPLES", 1)
        monkeypatch.setattr("bongsu.server.history.reader.HEAVY_SAMPLES", 1)
        assert await history(app, max_points=50) == whole
        assert len(whole["series"]) == 3
        pages, cursor = [], None
        while True:
            page = await history(app, max_points=50, limit=1, **({"cursor": cursor} if cursor else {}))
            pages += page["series"]
            if (cursor := page["next"]) is None:
                break
        assert pages == whole["series"]


async def test_an_answer_that_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await filled(app, tmp_path)
        app.clock.advance(3_600)
        whole = {"metric": "cpu_usage_ratio", "start": START, "end": START + 2 * SPAN_MS}
        first = await app.client.get("/api/metrics/history", params=whole)
        assert first.headers["Cache-Control"] == "private, max-age=600"
        tag = first.headers["ETag"]

        async def again(**parameters: Any) -> int:
            answer = await app.client.get(
                "/api/metrics/history", params=whole | parameters, headers={"If-None-Match": tag}
            )
            assert answer.status_code == 200 or not answer.content
            return answer.status_code

        assert await again() == 304
        assert await again(aggregation="max") == 200
        assert await again(format="csv") == 200
        assert (await app.push(a_push([a_frame(START + 1)]))).status_code == 200
        assert await again() == 200, "a late frame makes it another answer"
        now = await app.client.get("/api/metrics/history", params={"metric": "cpu_usage_ratio"})
        assert now.headers["Cache-Control"] == "private, no-cache"


async def test_csv_arrow_and_parquet_hold_what_json_does(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        now = app.clock.now_ms()
        bad = Series("queue_length", (("name", '=cmd|" /C calc"!A1'),), "")
        layout = Layout.of((bad,))
        push = a_push([a_frame(now - 20_000, (1.5,), layout), a_frame(now - 10_000, (2.5,), layout)], layouts=[layout])
        push.agent.name = "=1+1"
        answer = await app.push(push)
        assert answer.status_code == 200, answer.text
        asked = {"metric": "queue_length"}
        (expected,) = (await app.get("/api/metrics/history", **asked))["series"]
        answer = await app.client.get("/api/metrics/history", params=asked | {"format": "csv"})
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [float(row["value"]) for row in rows] == expected["values"]
        assert rows[0]["time"] == "2025-06-15T15:06:20.000+00:00"
        assert rows[0]["server"] == "'=1+1", "no formula for a spreadsheet"
        assert rows[0]["labels"].startswith('name="=cmd')
        stream = await app.client.get("/api/metrics/history", params=asked | {"format": "arrow"})
        table = pa.ipc.open_stream(stream.content).read_all()
        file = await app.client.get("/api/metrics/history", params=asked | {"format": "parquet"})
        stored = pq.read_table(io.BytesIO(file.content))
        for one in (table, stored):
            assert one.column("value").to_pylist() == expected["values"]
            assert [int(moment.timestamp() * 1000) for moment in one.column("time").to_pylist()] == expected["times"]
            assert set(one.column("metric").to_pylist()) == {"queue_length"}
        empty = await app.client.get("/api/metrics/history", params={"metric": "nothing", "format": "parquet"})
        assert pq.read_table(io.BytesIO(empty.content)).num_rows == 0


async def test_the_catalog_lists_metrics_labels_units_and_kinds(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(app.clock.now_ms())]))
        await app.push(a_push([a_frame(app.clock.now_ms())], name="web-2"))
        found = (await app.get("/api/metrics/catalog"))["metrics"]
        assert [one["metric"] for one in found] == [
            "cpu_usage_ratio",
            "memory_used_bytes",
            "network_receive_bytes_total",
        ]
        assert found[2] == {
            "metric": "network_receive_bytes_total",
            "type": "network",
            "unit": "bytes",
            "kind": "counter",
            "series": 2,
            "servers": 2,
            "labels": {"interface": ["eth0"]},
        }
        (one,) = (await app.get("/api/metrics/catalog", type="cpu", server=1))["metrics"]
        assert (one["series"], one["labels"]) == (1, {})


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        pytest.param(["interface=eth0"], 1, id="equal"),
        pytest.param(["interface!=eth0"], 2, id="not equal: those without the label as well"),
        pytest.param(["interface=eth*"], 1, id="any ending"),
        pytest.param(["interface!="], 1, id="those that have the label"),
        pytest.param(["interface=eth0", "interface!=eth0"], 0, id="both"),
        pytest.param(["interface=e.h0"], 0, id="a dot is a dot"),
    ],
)
async def test_label_filters(tmp_path: Path, labels: list[str], count: int) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push(a_ramp(app.clock.now_ms() - 30_000, 3)))
        answer = await app.get("/api/metrics/history", labels=labels)
        assert len(answer["series"]) == count


async def test_several_queries_at_once_are_answered_as_each_alone(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        for name in ("web-1", "web-2"):
            await filled(app, tmp_path, name=name)
        day = {"start": str(START), "end": str(START + 2 * SPAN_MS)}
        queries: list[dict[str, Any]] = [
            {"metric": ["cpu_usage_ratio"], **day, "max_points": 100},
            {"metric": ["cpu_usage_ratio"], **day, "max_points": 20, "across": "avg"},
            {
                "metric": ["network_receive_bytes_total"],
                **day,
                "max_points": 50,
                "across": "sum",
                "group_by": ["server"],
            },
            {"metric": ["cpu_usage_ratio", "memory_used_bytes"], **day, "max_points": 10_000},
            {"metric": ["cpu_usage_ratio"], **day, "aggregation": "p95", "max_points": 30},
            {"metric": ["memory_used_bytes"], "start": str(START), "end": str(START + 60_000)},
            {"metric": ["memory_used_bytes"], "start": "yesterday"},
            {"server": [99], **day},
            {"metric": ["cpu_usage_ratio"], **day, "name": ["web-2"], "limit": 1},
            {"metric": ["nothing"], **day},
        ]
        together = await app.client.post("/api/metrics/histories", json={"queries": queries})
        assert together.status_code == 200, together.text
        answers = together.json()["answers"]
        for query, answer in zip(queries, answers, strict=True):
            alone = await app.client.get("/api/metrics/history", params=query)
            assert answer == alone.json()
        errors = [answer["error"]["code"] for answer in answers if "error" in answer]
        assert errors == ["invalid_input", "unknown_server"]


async def test_what_is_too_much_to_read_together_is_read_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await filled(app, tmp_path)
        query = {"metric": ["cpu_usage_ratio"], "start": str(START), "end": str(START + 2 * SPAN_MS), "max_points": 100}
        alone = await app.get("/api/metrics/history", **query)
        reads: list[int] = []
        read = reader.HistoryReader._read

        async def counted(self: Any, query: Any, plan: Any, page: Any, floor_ms: int) -> Any:
            reads.append(len(page))
            return await read(self, query, plan, page, floor_ms)

        monkeypatch.setattr(reader.HistoryReader, "_read", counted)
        answer = await app.client.post("/api/metrics/histories", json={"queries": [query] * 4})
        assert (answer.json()["answers"], reads) == ([alone] * 4, [4])
        reads.clear()
        monkeypatch.setattr(reader, "HEAVY_SAMPLES", 1)
        answer = await app.client.post("/api/metrics/histories", json={"queries": [query] * 4})
        assert (answer.json()["answers"], reads) == ([alone] * 4, [1] * 4)


@pytest.mark.parametrize("late", [False, True], ids=["in order", "late frames"])
async def test_raw_samples_of_several_series_make_the_same_points_together_and_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await filled(app, tmp_path)
        # Half of it sealed but not rolled up, half not sealed: memory misses values, and the counter starts again.
        first_ms = START + 2 * SPAN_MS
        app.clock.advance(200 * STEP_MS / 1000)
        frames = [
            a_frame(
                first_ms + index * STEP_MS,
                (index % 7 / 7, math.nan if index % 5 == 0 else 1024.0 * index, index % 90 * 1000.0),
            )
            for index in range(200)
        ]
        assert (await app.push(a_push(frames[:100], interval_ms=STEP_MS))).status_code == 200
        await run_jobs(app.clock, tmp_path, Sealer)
        assert (await app.push(a_push(frames[100:], interval_ms=STEP_MS))).status_code == 200
        if late:
            between = [a_frame(first_ms + index * STEP_MS + 7_000, (0.9, 5.0, 91_000.0)) for index in range(40)]
            assert (await app.push(a_push(between, interval_ms=STEP_MS))).status_code == 200
        metrics = ("cpu_usage_ratio", "memory_used_bytes", "network_receive_bytes_total")
        whole = {"start": str(START + SPAN_MS), "end": str(first_ms + 200 * STEP_MS), "max_points": 60}
        queries = [whole | {"metric": [metric]} for metric in metrics] + [
            whole | {"metric": ["network_receive_bytes_total"], "aggregation": "increase"}
        ]
        together = (await app.client.post("/api/metrics/histories", json={"queries": queries})).json()["answers"]
        assert [answer["resolution"] for answer in together] == ["1m"] * 4
        assert all(answer["series"][0]["times"][-1] >= first_ms + 160 * STEP_MS for answer in together)
        monkeypatch.setattr(reader, "TOGETHER_SAMPLES", 0)
        assert together == [await app.get("/api/metrics/history", **query) for query in queries]


async def test_there_is_a_limit_of_queries(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for queries in ([], [{}] * 61, [{"metrics": ["cpu_usage_ratio"]}]):
            answer = await app.client.post("/api/metrics/histories", json={"queries": queries})
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({}, 12.0, id="their sum"),
        pytest.param({"aggregation": "increase"}, 12.0, id="as a counter grows"),
        pytest.param({"aggregation": "rate"}, 0.1, id="a second"),
        pytest.param({"aggregation": "avg"}, 3.0, id="the mean of a sample"),
        pytest.param({"aggregation": "max"}, 5.0, id="the largest"),
        pytest.param({"aggregation": "count"}, 4.0, id="how many"),
    ],
)
@pytest.mark.parametrize("resolution", ["raw", "1m"])
async def test_deltas_add_up(tmp_path: Path, resolution: str, parameters: dict[str, Any], expected: float) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        deltas = Layout.of((Series("orders_total", (), "", Kind.DELTA),))
        # 1, 5, 1, 5, ... every 30 s.
        frames = [a_frame(START + index * STEP_MS, [1.0 + 4 * (index % 2)], deltas) for index in range(SPAN_FRAMES)]
        for first in range(0, len(frames), 500):
            push = a_push(frames[first : first + 500], layouts=[deltas], interval_ms=STEP_MS)
            assert (await app.push(push)).status_code == 200
        await run_jobs(app.clock, tmp_path, Sealer, Compactor)
        whole = {"metric": "orders_total", "start": START, "end": START + SPAN_MS, "resolution": resolution}
        (series,) = (await app.get("/api/metrics/history", **whole | {"step": "2m"} | parameters))["series"]
        assert series["kind"] == "delta"
        assert series["values"][1:] == pytest.approx([expected] * (len(series["values"]) - 1))
