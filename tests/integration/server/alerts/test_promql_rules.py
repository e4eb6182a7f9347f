"""Rules whose condition is PromQL: from a query to the message, across restarts, and what goes wrong."""

from pathlib import Path
from typing import Any

import pytest

from bongsu.server.alerts import promql_rules
from tests.support.alerting import a_webhook, make, send_cpu, watching
from tests.support.app import RunningApp, running_app
from tests.support.endpoints import endpoint


async def step(app: RunningApp, watcher: Any, **values: float) -> None:
    """Ten seconds pass, each server sends its CPU usage, and the worker evaluates."""
    app.clock.advance(10)
    for name, value in values.items():
        await send_cpu(app, value, name=name)
    await watcher.evaluate()


async def a_promql_rule(app: RunningApp, query: str, **changes: Any) -> dict[str, Any]:
    condition = {"type": "promql", "query": query} | changes.pop("condition", {})
    return await make(app, "rules", {"name": "Busy", "condition": condition} | changes)


async def active(app: RunningApp) -> list[tuple[str, str, str]]:
    found = (await app.get("/api/alerts/active"))["alerts"]
    return sorted((alert["server_name"], alert["series"], alert["state"]) for alert in found)


async def test_an_alert_for_each_series_while_it_is_in_the_answer(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5, name="web")
            await send_cpu(app, 0.5, name="db")
            await a_promql_rule(app, "cpu_usage_ratio > 0.9", **{"for": "20s"})
            await a_webhook(app, hook.url)
            await step(app, watcher, web=0.5, db=0.5)
            assert await active(app) == []
            await step(app, watcher, web=0.95, db=0.5)
            assert await active(app) == [("web", "cpu_usage_ratio", "pending")]
            await step(app, watcher, web=0.96, db=0.91)
            await step(app, watcher, web=0.97, db=0.92)
            assert await active(app) == [("db", "cpu_usage_ratio", "pending"), ("web", "cpu_usage_ratio", "firing")]
            (request,) = hook.received
            assert request.json["title"] == "[ALERT] Busy: web"
            assert request.json["summary"] == "The query answers 0.97."
            facts = {fact["label"]: fact["value"] for fact in request.json["facts"]}
            assert (facts["Query"], facts["Value"]) == ("cpu_usage_ratio > 0.9", "0.97")
            assert "Threshold" not in facts
            await step(app, watcher, web=0.5, db=0.5)
            assert await active(app) == []
            assert [sent.json["event"] for sent in hook.received] == ["fired", "resolved"]


async def test_a_threshold_has_hysteresis(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5, name="web")
        query = "sum by (server) (cpu_usage_ratio)"
        await a_promql_rule(app, query, condition={"operator": ">=", "value": 0.9, "recovery": 0.7})
        await step(app, watcher, web=0.9)
        assert await active(app) == [("web", "", "firing")]
        await step(app, watcher, web=0.8)
        assert await active(app) == [("web", "", "firing")]
        await step(app, watcher, web=0.6)
        assert await active(app) == []


async def test_a_series_that_is_no_longer_there_is_missing_data(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5, name="web")
        no_data = {"policy": "alert", "after": "1m"}
        await a_promql_rule(app, "last_over_time(cpu_usage_ratio[30s])", condition={"value": 0.9}, no_data=no_data)
        await step(app, watcher, web=0.5)
        for _ in range(10):
            await step(app, watcher)
        (alert,) = (await app.get("/api/alerts/active"))["alerts"]
        assert (alert["state"], alert["no_data"]) == ("firing", True)
        await step(app, watcher, web=0.5)
        assert await active(app) == []


async def test_another_worker_goes_on(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            async with watching(app, tmp_path) as watcher:
                await send_cpu(app, 0.95, name="web")
                await a_promql_rule(app, "cpu_usage_ratio > 0.9")
                await a_webhook(app, hook.url)
                await step(app, watcher, web=0.95)
                (before,) = (await app.get("/api/alerts/active"))["alerts"]
                await watcher.shares.give_up()
            async with watching(app, tmp_path) as watcher:
                await step(app, watcher, web=0.96)
                (after,) = (await app.get("/api/alerts/active"))["alerts"]
                assert (after["id"], after["since_ms"]) == (before["id"], before["since_ms"])
                await step(app, watcher, web=0.5)
        assert [sent.json["event"] for sent in hook.received] == ["fired", "resolved"]


async def test_a_query_that_fails_costs_only_its_rule_and_ends_no_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.95, name="web")
        await a_promql_rule(app, "cpu_usage_ratio > 0.9")
        # On a second server, it names none.
        nameless = "cpu_usage_ratio > 0.9 or label_replace(cpu_usage_ratio, 'server', 'x', 'instance', 'second')"
        await a_promql_rule(app, f"label_replace({nameless}, 'instance', 'y', 'server', 'x')", name="Nameless")
        await step(app, watcher, web=0.95)
        assert len(await active(app)) == 2
        await send_cpu(app, 0.5, name="second")
        app.clock.advance(promql_rules.REFRESH_MS / 1000)
        await step(app, watcher, web=0.95, second=0.5)
        health = (await app.get("/api/health"))["alerts"]
        (skipped,) = health["skipped"]
        assert "1 series of the answer name no server" in str(skipped)
        assert len(await active(app)) == 2
        monkeypatch.setattr(promql_rules, "CYCLE_SECONDS", 0.0)
        await step(app, watcher, web=0.5, second=0.5)
        assert len((await app.get("/api/health"))["alerts"]["skipped"]) == 2
        assert len(await active(app)) == 2


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"query": "sum("}, "nclosed left parenthesis"),
        ({"query": "sum(cpu_usage_ratio)"}, "1 series of the answer name no server"),
        ({"query": "1"}, "answers one number"),
        ({"query": "'a'"}, "must answer numbers"),
        ({"query": "cpu_usage_ratio[5m]"}, "must answer numbers"),
    ],
)
async def test_what_cannot_be_a_condition_is_refused(tmp_path: Path, condition: dict[str, Any], reason: str) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        rule = {"name": "Busy", "condition": {"type": "promql"} | condition}
        refused = await app.client.post("/api/alerts/rules", json=rule)
        assert refused.status_code == 400
        assert refused.json()["error"]["field"] == "condition.query"
        assert reason in refused.json()["error"]["message"]


async def test_the_scope_limits_the_servers_that_are_asked(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.95, name="web")
        await send_cpu(app, 0.95, name="db")
        await a_promql_rule(app, "cpu_usage_ratio > 0.9", scope={"names": ["d*"]})
        await step(app, watcher, web=0.95, db=0.95)
        assert await active(app) == [("db", "cpu_usage_ratio", "firing")]


async def test_a_preview_shows_where_it_would_have_fired(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for value in [0.5] * 30 + [0.95] * 30 + [0.5] * 30:
            app.clock.advance(10)
            await send_cpu(app, value, name="web")
        rule = {"name": "Busy", "for": "1m", "condition": {"type": "promql", "query": "cpu_usage_ratio > 0.9"}}
        answer = await app.client.post("/api/alerts/rules/preview", json={"rule": rule, "start": "-15m"})
        assert answer.status_code == 200, answer.text
        preview = answer.json()
        assert (preview["series"], preview["count"]) == (1, 1)
        (firing,) = preview["firings"]
        assert (firing["server_name"], firing["series"], firing["value"]) == ("web", "cpu_usage_ratio", 0.95)
        assert firing["fired_ms"] - firing["since_ms"] == 60_000
        assert firing["resolved_ms"] - firing["fired_ms"] == 240_000
