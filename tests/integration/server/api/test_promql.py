"""The HTTP API of Prometheus over Bongsu's own samples: what it answers, to whom, and what it refuses."""

import asyncio
import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from bongsu.alerts.alert import Alert
from bongsu.alerts.rules import Severity
from bongsu.server.alerts.queries.alerts import store_alerts
from bongsu.server.auth.principal import Scope
from bongsu.server.config import Limits
from bongsu.server.history.promql import engine
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS, Compactor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer
from tests.support.app import RunningApp, api_token, running_app
from tests.support.clock import FakeClock
from tests.support.jobs import run_jobs
from tests.support.pushes import a_frame, a_push, a_ramp

START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
STEP_MS = 30_000
SPAN_FRAMES = SPAN_MS // STEP_MS
LATER = START + 2 * SPAN_MS + GRACE_MS + STAGGER_MS


async def filled(app: RunningApp, tmp_path: Path) -> None:
    """Two compacted spans."""
    sent = a_ramp(START, 2 * SPAN_FRAMES, STEP_MS)
    for first in range(0, len(sent), 1_000):
        assert (await app.push(a_push(sent[first : first + 1_000], interval_ms=STEP_MS))).status_code == 200
    await run_jobs(app.clock, tmp_path, Sealer, Compactor)


async def ask(app: RunningApp, query: str, at_ms: int, **parameters: Any) -> dict[str, Any]:
    answer = await app.client.get("/api/v1/query", params={"query": query, "time": at_ms / 1000} | parameters)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "success"
    return dict(answer.json())


def values(answer: dict[str, Any]) -> list[float]:
    return [float(row["value"][1]) for row in answer["data"]["result"]]


async def test_series_of_agents_have_the_labels_of_their_server(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        await app.push(a_push([a_frame(START)]))
        await app.push(a_push([a_frame(START, (0.25, 1, 1))], name="db-1"))
        await app.client.put("/api/servers/2/tags", json={"tags": {"role": "db"}})
        answer = await ask(app, "cpu_usage_ratio", START)
        assert answer["data"]["resultType"] == "vector"
        assert [row["metric"] for row in answer["data"]["result"]] == [
            {"__name__": "cpu_usage_ratio", "instance": "db-1", "server": "2", "tag_role": "db"},
            {"__name__": "cpu_usage_ratio", "instance": "web-1", "server": "1"},
        ]
        assert values(answer) == [0.25, 0.5]
        for query in (
            'cpu_usage_ratio{instance="db-1"}',
            'cpu_usage_ratio{server="2"}',
            'cpu_usage_ratio{tag_role!=""}',
        ):
            assert values(await ask(app, query, START)) == [0.25]
        assert values(await ask(app, "sum by (tag_role) (cpu_usage_ratio)", START)) == [0.25, 0.5]


async def test_all_kinds_of_answers(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START + 60_000)) as app:
        await app.push(a_push(a_ramp(START, 4)))
        at_ms = START + 30_000
        assert (await ask(app, "1 + 1", at_ms))["data"] == {"resultType": "scalar", "result": [at_ms / 1000, "2"]}
        assert (await ask(app, '"a"', at_ms))["data"] == {"resultType": "string", "result": [at_ms / 1000, "a"]}
        (row,) = (await ask(app, "memory_used_bytes[15s]", at_ms))["data"]["result"]
        assert row["values"] == [[at_ms / 1000 - 10, "2048"], [at_ms / 1000, "3072"]]
        (row,) = (await ask(app, "memory_used_bytes[20s:10s]", at_ms))["data"]["result"]
        assert [value for _, value in row["values"]] == ["2048", "3072"]
        assert (await ask(app, "vector(Inf)", at_ms))["data"]["result"][0]["value"][1] == "+Inf"
        assert (await ask(app, "vector(-Inf)", at_ms))["data"]["result"][0]["value"][1] == "-Inf"
        assert (await ask(app, "vector(NaN)", at_ms))["data"]["result"][0]["value"][1] == "NaN"
        parameters = {"query": "memory_used_bytes / 1024", "start": START / 1000, "end": at_ms / 1000, "step": "10"}
        over_time = (await app.client.get("/api/v1/query_range", params=parameters)).json()["data"]
        assert over_time["resultType"] == "matrix"
        assert over_time["result"] == [
            {
                "metric": {"instance": "web-1", "server": "1"},
                "values": [[START / 1000 + 10 * step, str(step)] for step in range(4)],
            }
        ]
        parameters |= {"query": "7", "step": "10s"}
        (number,) = (await app.client.get("/api/v1/query_range", params=parameters)).json()["data"]["result"]
        assert [value for _, value in number["values"]] == ["7"] * 4


async def test_questions_come_in_the_url_or_in_a_form(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        await app.push(a_push([a_frame(START)]))
        for time in (f"{START / 1000}", "2025-06-15T12:00:00Z", "2025-06-15T21:00:00+09:00"):
            form = {"query": "count(cpu_usage_ratio)", "time": time}
            for answer in (
                await app.client.post("/api/v1/query", data=form),
                await app.client.get("/api/v1/query", params=form),
                await app.client.post("/api/v1/query", params=form),
            ):
                assert values(answer.json()) == [1], (time, answer.text)
        assert values((await app.client.get("/api/v1/query?query=count(cpu_usage_ratio)")).json()) == [1]  # now


async def test_what_there_is(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        await app.push(a_push([a_frame(START)]))
        received = {"__name__": "network_receive_bytes_total", "instance": "web-1", "interface": "eth0", "server": "1"}
        found = await app.get("/api/v1/series", **{"match[]": "network_receive_bytes_total"})
        assert found["data"] == [received]
        found = await app.get("/api/v1/series", **{"match[]": ['{interface="eth0"}', "none"]})
        assert found["data"] == [received]
        assert (await app.get("/api/v1/labels"))["data"] == ["__name__", "instance", "interface", "server"]
        assert (await app.get("/api/v1/labels", **{"match[]": "cpu_usage_ratio"}))["data"] == [
            "__name__",
            "instance",
            "server",
        ]
        names = ["cpu_usage_ratio", "memory_used_bytes", "network_receive_bytes_total"]
        assert (await app.get("/api/v1/label/__name__/values"))["data"] == names
        assert (await app.get("/api/v1/label/__name__/values", limit="2"))["data"] == names[:2]
        assert (await app.get("/api/v1/label/instance/values"))["data"] == ["web-1"]
        kinds = (await app.get("/api/v1/metadata"))["data"]
        assert kinds["network_receive_bytes_total"] == [{"type": "counter", "help": "", "unit": "bytes"}]
        assert kinds["cpu_usage_ratio"] == [{"type": "gauge", "help": "", "unit": "ratio"}]
        assert list((await app.get("/api/v1/metadata", metric="cpu_usage_ratio"))["data"]) == ["cpu_usage_ratio"]
        assert (await app.get("/api/v1/status/buildinfo"))["data"]["version"].startswith("3.")
        assert (await app.get("/api/v1/format_query", query="sum( a )by(b)"))["data"] == "sum by (b) (a)"


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("query", {}, "query is missing"),
        ("query", {"query": ""}, "No expression found"),
        ("query", {"query": "sum("}, "nclosed left parenthesis"),
        ("query", {"query": "a", "time": "yesterday"}, "time: 'yesterday' is neither Unix time"),
        ("query", {"query": "a", "time": "2025-06-15T12:00:00"}, "time: "),
        ("query", {"query": "a + on(x) b" + " + 1" * 300}, "at most 200 operators"),
        ("query", {"query": "(" * 200 + "1" + ")" * 200}, "at most 100 brackets"),
        ("query_range", {"query": "a", "start": "10", "end": "20"}, "step is missing"),
        ("query_range", {"query": "a", "start": "10", "end": "20", "step": "0"}, "step must be at least"),
        ("query_range", {"query": "a", "start": "20", "end": "10", "step": "1"}, "end must not be before start"),
        ("query_range", {"query": "a", "start": "0", "end": "20000", "step": "1"}, "20,001 steps; the limit is 11,000"),
        ("query_range", {"query": "a[5m]", "start": "0", "end": "20", "step": "1"}, "cannot answer ranges"),
        (
            "query_range",
            {"query": "max_over_time(vector(1)[10y:1s])", "start": "0", "end": "20", "step": "1"},
            "numbers",
        ),
        ("series", {}, "match[] is missing"),
        ("series", {"match[]": "sum(a)"}, "match[] must be a selector"),
        ("labels", {"limit": "-1"}, "limit must be a whole number"),
    ],
)
async def test_what_cannot_be_answered_says_why(
    tmp_path: Path, path: str, parameters: dict[str, str], reason: str
) -> None:
    async with running_app(tmp_path) as app:
        for answer in (
            await app.client.get(f"/api/v1/{path}", params=parameters),
            await app.client.post(f"/api/v1/{path}", data=parameters),
        ):
            body = answer.json()
            assert answer.status_code == 400
            assert (body["status"], body["errorType"]) == ("error", "bad_data")
            assert reason in body["error"]


async def test_questions_and_forms_have_a_greatest_length(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.client.post("/api/v1/query", data={"query": "a # " + "x" * 40_000})
        assert (answer.status_code, answer.json()["error"]) == (400, "A query may have at most 32,768 bytes.")
        answer = await app.client.post("/api/v1/query", data={"query": "x" * 2_000_000})
        assert answer.status_code == 413


async def test_who_may_ask_and_about_what(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        await app.push(a_push([a_frame(START)]))
        await app.push(a_push([a_frame(START)], name="db-1"))
        await app.client.put("/api/servers/2/tags", json={"tags": {"role": "db"}})
        owner = min(app.services.auth.directory.users)
        for scope, status in ((Scope.writer, 401), (Scope.viewer, 200)):
            token = await api_token(app.services, owner, scope)
            answer = await app.client.get("/api/v1/query?query=1", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status
        assert (await app.client.get("/api/v1/query?query=1", headers={"Authorization": ""})).status_code == 401
        token = await api_token(app.services, owner, Scope.viewer, {"role": "db"})
        headers = {"Authorization": f"Bearer {token}"}
        answer = await app.client.get("/api/v1/query?query=cpu_usage_ratio", headers=headers)
        assert [row["metric"]["instance"] for row in answer.json()["data"]["result"]] == ["db-1"]
        answer = await app.client.get("/api/v1/label/instance/values", headers=headers)
        assert answer.json()["data"] == ["db-1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("max_over_time(cpu_usage_ratio[2h])", 0.9, id="peaks stay"),
        pytest.param("min_over_time(cpu_usage_ratio[2h])", 0.1, id="lows stay"),
        pytest.param("avg_over_time(cpu_usage_ratio[4h])", 0.5, id="means of means"),
        pytest.param("count_over_time(memory_used_bytes[2h])", 2 * 120, id="all samples count"),
        pytest.param("sum_over_time(cpu_usage_ratio[4h]) / count_over_time(cpu_usage_ratio[4h])", 0.5, id="sums"),
        pytest.param("rate(network_receive_bytes_total[1h])", 1000, id="growth"),
        pytest.param("increase(network_receive_bytes_total[30m])", 1_800_000, id="growth of less"),
        pytest.param("deriv(memory_used_bytes[1h])", 1024 / 30, id="slopes"),
    ],
)
@pytest.mark.parametrize("given_up", [False, True])
async def test_what_was_given_up_is_answered_from_rollups(
    tmp_path: Path, query: str, expected: float, given_up: bool
) -> None:
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        await filled(app, tmp_path)
        if given_up:
            app.clock.advance(8 * 86_400)
            await run_jobs(app.clock, tmp_path, Retention)
        answer = await ask(app, query, START + 5 * 3_600_000)
        (value,) = values(answer)
        assert value == pytest.approx(expected, rel=0.04)
        assert bool(answer.get("warnings")) is given_up
        if given_up:
            assert "minutes" in answer["warnings"][0]


async def test_too_many_samples_become_rollups_and_too_many_of_those_an_error(tmp_path: Path) -> None:
    limits = Limits(samples_per_promql=100_000)
    async with running_app(tmp_path, clock=FakeClock(LATER), limits=limits) as app:
        await filled(app, tmp_path)
        limits.samples_per_promql = 1_000  # 1,440 samples, 720 minutes
        answer = await ask(app, "count_over_time(memory_used_bytes[12h])", START + 2 * SPAN_MS)
        assert values(answer) == [pytest.approx(1_440, abs=2)]
        assert "too many" in answer["warnings"][0]
        limits.samples_per_promql = 1_500  # for all selectors of a query
        twice = "max_over_time(memory_used_bytes[12h]) + max_over_time(memory_used_bytes[11h])"
        assert "too many" in (await ask(app, twice, START + 2 * SPAN_MS))["warnings"][0]
        limits.samples_per_promql = 3_000
        assert "warnings" not in await ask(app, twice, START + 2 * SPAN_MS)
        limits.samples_per_promql = 5
        refused = await app.client.get(
            "/api/v1/query", params={"query": "memory_used_bytes[12h]", "time": (START + 2 * SPAN_MS) / 1000}
        )
        assert refused.status_code == 400
        assert "the limit is 5." in refused.json()["error"]


async def test_a_query_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = engine._compute

    def slow(tree: Any, steps: Any, stored: Any, budget: Any, missing: Any) -> Any:
        assert budget.is_cancelled.wait(60)
        return compute(tree, steps, stored, budget, missing)

    monkeypatch.setattr(engine, "_compute", slow)
    async with running_app(tmp_path, limits=Limits(query_seconds=0.05)) as app:
        refused = await app.client.get("/api/v1/query?query=1")
        assert refused.status_code == 503
        assert refused.json() == {
            "status": "error",
            "errorType": "timeout",
            "error": "The query took longer than 0.05 s.",
        }


async def test_a_query_ends_when_its_client_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that computes sees it at the next node."""
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        reached, ended = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        compute = engine._compute

        def slow(tree: Any, steps: Any, stored: Any, budget: Any, missing: Any) -> Any:
            loop.call_soon_threadsafe(reached.set)
            try:
                assert budget.is_cancelled.wait(60)
                return compute(tree, steps, stored, budget, missing)
            finally:
                loop.call_soon_threadsafe(ended.set)

        monkeypatch.setattr(engine, "_compute", slow)
        asking = asyncio.create_task(app.client.get("/api/v1/query?query=1"))
        await asyncio.wait_for(reached.wait(), 60)
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 60)
        with pytest.raises((asyncio.CancelledError, httpx.HTTPError)):
            await asking


async def test_values_of_nan_are_told(tmp_path: Path) -> None:
    """Agents have no NaN: it says that there is no value. What was there before still counts."""
    async with running_app(tmp_path, clock=FakeClock(START + 20_000)) as app:
        await app.push(a_push([a_frame(START), a_frame(START + 10_000, (math.nan, 5, 5))]))
        assert values(await ask(app, "cpu_usage_ratio", START + 10_000)) == [0.5]
        assert values(await ask(app, "memory_used_bytes", START + 10_000)) == [5]
        assert values(await ask(app, "count_over_time(cpu_usage_ratio[1m])", START + 10_000)) == [1]


async def test_rules_and_alerts_are_told_as_prometheus_does(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(START)) as app:
        assert (await app.get("/api/v1/rules"))["data"] == {"groups": []}
        condition = {"type": "threshold", "metric": "cpu_usage_ratio", "value": 0.9, "labels": {"mode": "us*.x"}}
        rule = {"name": "Busy", "severity": "critical", "for": "5m", "condition": condition}
        down = {"name": "Down", "condition": {"type": "server_down"}}
        for each in (rule, down):
            (await app.client.post("/api/alerts/rules", json=each)).raise_for_status()
        (group,) = (await app.get("/api/v1/rules"))["data"]["groups"]
        assert [(each["name"], each["query"]) for each in group["rules"]] == [
            ("Busy", 'avg_over_time(cpu_usage_ratio{mode=~"us.*\\\\.x"}[5m]) > 0.9'),
            ("Down", '{"type": "server_down"}'),
        ]
        busy = group["rules"][0]
        assert (busy["type"], busy["duration"], busy["state"], busy["alerts"]) == ("alerting", 300, "inactive", [])
        assert busy["labels"] == {"severity": "critical"}
        assert (await app.get("/api/v1/rules", type="record"))["data"] == {"groups": []}
        await app.push(a_push([a_frame(START)]))
        active = Alert(
            *(0, 1, "Busy", Severity.CRITICAL, 1, 1, "web-1", "cpu_usage_ratio", "firing", "breach", START),
            value=0.95,
        )
        await app.services.database.write(lambda connection: store_alerts(connection, [active]))
        (told,) = (await app.get("/api/v1/alerts"))["data"]["alerts"]
        assert told == {
            "labels": {
                "alertname": "Busy",
                "severity": "critical",
                "instance": "web-1",
                "server": "1",
                "series": "cpu_usage_ratio",
            },
            "annotations": {},
            "state": "firing",
            "activeAt": "2025-06-15T12:00:00Z",
            "value": "0.95",
        }
        assert (await app.get("/api/v1/rules"))["data"]["groups"][0]["rules"][0]["state"] == "firing"
