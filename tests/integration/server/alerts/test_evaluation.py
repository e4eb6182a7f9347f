"""From a frame to the message at a channel, with a fake clock, the real API and a real endpoint."""

import hashlib
import hmac
from pathlib import Path

import pytest

from bongsu.server.alerts.queries.alerts import acknowledge
from tests.support.alerting import a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import RunningApp, running_app
from tests.support.endpoints import Endpoint, endpoint
from tests.support.pushes import a_frame, a_push


def events(hook: Endpoint) -> list[str]:
    return [request.json["event"] for request in hook.received]


async def step(app: RunningApp, watcher, value: float | None, seconds: float = 10, **more: object) -> None:  # type: ignore[no-untyped-def]
    """Some time passes, in which the worker evaluates every 10 s; a frame arrives unless ``value`` is None."""
    while seconds > 10:
        app.clock.advance(10)
        await watcher.evaluate()
        seconds -= 10
    app.clock.advance(seconds)
    if value is not None:
        await send_cpu(app, value, **more)  # type: ignore[arg-type]
    await watcher.evaluate()


async def test_an_alert_from_pending_to_resolved(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            rule = await a_rule(
                app, **{"for": "20s", "description": "Look at the processes.", "runbook": "https://wiki.example/cpu"}
            )
            assert rule["warnings"] == []
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            await step(app, watcher, 0.95)
            (pending,) = (await app.get("/api/alerts/active"))["alerts"]
            assert (pending["state"], pending["fired_ms"], hook.received) == ("pending", None, [])
            began = app.clock.now_ms()
            await step(app, watcher, 0.96)
            await step(app, watcher, 0.97)
            (firing,) = (await app.get("/api/alerts/active", state="firing"))["alerts"]
            assert (firing["since_ms"], firing["fired_ms"]) == (began, began + 20_000)
            assert (firing["value"], firing["threshold"], firing["severity"]) == (0.97, 0.9, "warning")
            (request,) = hook.received
            body = request.json
            assert body["title"] == "[ALERT] CPU: web-1"
            assert body["summary"] == "The latest value is 97.0 %, above the threshold of 90.0 %."
            facts = {fact["label"]: fact["value"] for fact in body["facts"]}
            assert facts["Server"] == "web-1"
            assert facts["Metric"] == "cpu_usage_ratio"
            assert (facts["Value"], facts["Threshold"], facts["Duration"]) == ("97.0 %", "90.0 %", "20s")
            assert facts["Since"] == "2025-06-15 15:06:50 UTC"
            assert body["processes"][0] == {"name": "backup", "cpu": "175 %", "memory": "300 MiB"}
            assert body["url"] == f"https://monitor.example/servers/{firing['server_id']}"
            assert body["runbook"] == "https://wiki.example/cpu"
            stamp, sent = request.headers["x-bongsu-timestamp"], request.headers["x-bongsu-signature"]
            digest = hmac.new(b"s3cret", stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
            assert sent == f"sha256={digest}"
            await step(app, watcher, 0.5)
            assert events(hook) == ["fired", "resolved"]
            assert (await app.get("/api/alerts/active"))["alerts"] == []
            record = await app.get(f"/api/alerts/{firing['id']}")
            assert record["alert"]["state"] == "resolved"
            assert [(decision["stage"], decision["outcome"]) for decision in record["decisions"]] == [
                ("send", "queued"),
                ("record", "sent"),
                ("send", "queued"),
                ("record", "sent"),
            ]
            assert record["decisions"][1]["detail"] == "hook: 200"
            assert [(note["code"], note["parameters"]) for note in record["decisions"][1]["notes"]] == [
                ("to_channel", {"channel": "hook"}),
                ("answered", {"answer": "200"}),
            ]
            assert [notification["state"] for notification in record["notifications"]] == ["sent", "sent"]


async def test_repeat_and_acknowledge(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_rule(app, repeat="5m")
            await a_webhook(app, hook.url)
            await step(app, watcher, 0.95)
            for _ in range(29):
                await step(app, watcher, 0.95)
            assert events(hook) == ["fired"]
            await step(app, watcher, 0.99)
            assert events(hook) == ["fired", "repeated"]
            assert "99.0 %" in hook.received[1].json["summary"], "the value of now, not of when the alert fired"
            (alert,) = (await app.get("/api/alerts/active"))["alerts"]
            page = hook.received[0].json["acknowledge_url"].removeprefix("https://monitor.example")
            shown = await app.client.get(page)
            assert "<form" in shown.text
            assert (await app.get("/api/alerts/active"))["alerts"][0]["acknowledged_ms"] is None, (
                "opening the page changes nothing"
            )
            acknowledged = await app.client.post(f"/api/alerts/{alert['id']}/acknowledge", json={"comment": "on it"})
            assert (acknowledged.json()["acknowledged_comment"], acknowledged.json()["acknowledged_by"]) == (
                "on it",
                "tests (admin@bongsu.test)",
            )
            assert (await app.client.post(page)).status_code == 200
            assert (await app.client.post(page + "0")).status_code == 400
            for _ in range(40):
                await step(app, watcher, 0.95)
            assert events(hook) == ["fired", "repeated"], "an acknowledged alert is not repeated"
            await step(app, watcher, 0.5)
            assert events(hook)[-1] == "resolved"
            late = await app.client.post(f"/api/alerts/{alert['id']}/acknowledge", json={})
            assert (late.status_code, late.json()["error"]["code"]) == (409, "alert_resolved")


async def test_escalation_until_somebody_acknowledges(tmp_path: Path) -> None:
    with endpoint() as hook, endpoint() as boss:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_webhook(app, hook.url)
            await a_webhook(app, boss.url, name="boss", default=False)
            steps = [{"after": "1m", "channels": ["boss"]}, {"after": "3m", "channels": ["boss"]}]
            await a_rule(app, escalation=steps)
            for _ in range(7):
                await step(app, watcher, 0.95)
            assert (events(hook), events(boss)) == (["fired"], ["escalated"])
            (alert,) = (await app.get("/api/alerts/active"))["alerts"]
            database = app.application.api.state.services.database
            await database.write(lambda connection: acknowledge(connection, alert["id"], "kim", "", app.clock.now_ms()))
            for _ in range(20):
                await step(app, watcher, 0.95)
            assert events(boss) == ["escalated"]
            await step(app, watcher, 0.5)
            assert (events(hook), events(boss)) == (["fired", "resolved"], ["escalated", "resolved"]), (
                "every channel that was notified is told"
            )


async def test_an_alert_that_fires_again_within_five_minutes_is_sent_once(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_rule(app)
            await a_webhook(app, hook.url)
            for value in (0.95, 0.5, 0.95, 0.5, 0.95):
                await step(app, watcher, value)
            assert events(hook) == ["fired", "resolved"]
            (alert,) = (await app.get("/api/alerts/active"))["alerts"]
            record = await app.get(f"/api/alerts/{alert['id']}")
            assert [(decision["stage"], decision["outcome"]) for decision in record["decisions"]] == [
                ("dedupe", "held back")
            ]
            for _ in range(26):
                await step(app, watcher, 0.95)
            assert events(hook) == ["fired", "resolved", "fired"], "it still fires when the window has passed"


async def test_a_server_that_is_down_inhibits_its_other_alerts(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await make(app, "rules", {"name": "Down", "severity": "critical", "condition": {"type": "server_down"}})
            silent = {
                "type": "threshold",
                "metric": "memory_used_bytes",
                "value": 0.0,
                "function": "last",
                "window": "1m",
            }
            await make(
                app, "rules", {"name": "Child", "condition": silent, "no_data": {"policy": "keep"}, "repeat": "5m"}
            )
            await watcher.evaluate()
            await step(app, watcher, None, 131)
            firing = (await app.get("/api/alerts/active", state="firing"))["alerts"]
            assert [alert["rule_name"] for alert in firing] == ["Down", "Child"]
            await a_webhook(app, hook.url)
            await step(app, watcher, None)
            (down,) = hook.received
            assert down.json["title"] == "[ALERT] Down: web-1"
            assert down.json["summary"] == "The server has not sent anything for 2m 21s (down after 1m)."
            record = await app.get(f"/api/alerts/{firing[1]['id']}")
            assert record["decisions"][-1]["stage"] == "inhibit"
            assert record["decisions"][-1]["detail"] == f"the server is down: alert {firing[0]['id']} (Down)"
            await step(app, watcher, 0.5)
            titles = sorted(request.json["title"] for request in hook.received[1:])
            assert titles == ["[ALERT] Child: web-1", "[RESOLVED] Down: web-1"], (
                "the server is back, and the other alert still fires"
            )


async def test_a_silence_holds_alerts_back_until_it_ends(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_rule(app)
            await a_webhook(app, hook.url)
            now = app.clock.now_ms()
            silence = await make(
                app,
                "silences",
                {"comment": "moving racks", "scope": {"names": ["web-*"]}, "starts_ms": now, "ends_ms": now + 60_000},
            )
            assert silence["active_until_ms"] == now + 60_000
            for _ in range(5):
                await step(app, watcher, 0.95)
            assert hook.received == []
            (alert,) = (await app.get("/api/alerts/active"))["alerts"]
            (decision,) = (await app.get(f"/api/alerts/{alert['id']}"))["decisions"]
            assert decision["stage"] == "silence"
            text = "silence 1 until 2025-06-15T15:07:40Z: moving racks"
            parameters = {"kind": "silence", "silence_id": 1, "until_ms": 1_750_000_060_000, "comment": "moving racks"}
            assert decision["detail"] == text
            assert decision["notes"] == [{"code": "silenced_because", "parameters": parameters, "text": text}]
            await step(app, watcher, 0.95)
            assert events(hook) == ["fired"], "an alert that still fires at the end is sent"


async def test_alerts_of_one_rule_come_in_one_message(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            for index in range(12):
                await send_cpu(app, 0.5, name=f"web-{index}")
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            app.clock.advance(10)
            for index in range(12):
                await send_cpu(app, 0.95, name=f"web-{index}")
            await watcher.evaluate()
            (request,) = hook.received
            assert request.json["title"] == "[ALERT] CPU: web-0 and 11 more"
            assert request.json["others"][0] == "web-1: 95.0 %"
            assert request.json["others"][-1] == "and 1 more"


async def test_a_restart_neither_loses_nor_repeats(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            async with watching(app, tmp_path) as watcher:
                await send_cpu(app, 0.5)
                await a_rule(app, **{"for": "30s"})
                await a_webhook(app, hook.url)
                await step(app, watcher, 0.95)
                await step(app, watcher, 0.95)
                await watcher.shares.give_up()
            async with watching(app, tmp_path) as watcher:
                await step(app, watcher, 0.95)
                await step(app, watcher, 0.95)
                assert events(hook) == ["fired"], "pending since before the restart"
                await watcher.shares.give_up()
            async with watching(app, tmp_path) as watcher:
                await step(app, watcher, 0.95)
                assert events(hook) == ["fired"]
                await step(app, watcher, 0.5)
                assert events(hook) == ["fired", "resolved"]


async def test_a_replayed_backlog_never_fires(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            app.clock.advance(3_600)
            await send_cpu(app, 0.5)
            frames = [a_frame(app.clock.now_ms() - 1_000 * second, (0.99, 0, 0)) for second in range(3_590, 10, -10)]
            await app.push(a_push(frames))
            await watcher.evaluate()
            await step(app, watcher, 0.5)
            assert hook.received == []
            assert (await app.get("/api/alerts/history"))["alerts"] == []


async def test_the_shards_of_a_dead_worker_are_taken_over_within_30_seconds(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as first, watching(app, tmp_path) as second:
            await send_cpu(app, 0.5)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await first.evaluate()
            await second.evaluate()
            await first.evaluate()
            await second.evaluate()
            assert len(first.shares.shards) == len(second.shares.shards) == 8
            assert not first.shares.shards & second.shares.shards
            alive, dead = (first, second) if 1 not in first.shares.shards else (second, first)
            assert 1 in dead.shares.shards
            waited = 0
            while 1 not in alive.shares.shards:
                await step(app, alive, 0.95)
                waited += 10
            assert waited <= 30
            await step(app, alive, 0.95)
            assert events(hook) == ["fired"]
            # A worker that was only delayed notices when it writes.
            with pytest.raises(Exception, match="has taken over"):
                await dead.cycle.run(dead.shares.shards, app.clock.now_ms())
            assert events(hook) == ["fired"]
            assert len((await app.get("/api/alerts/active"))["alerts"]) == 1


async def test_deleting_a_rule_ends_its_alerts(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            rule = await a_rule(app)
            await a_webhook(app, hook.url)
            await step(app, watcher, 0.95)
            assert (await app.client.delete(f"/api/alerts/rules/{rule['id']}")).status_code == 204
            await step(app, watcher, 0.95)
            (alert,) = (await app.get("/api/alerts/history"))["alerts"]
            assert (alert["state"], alert["reason"]) == ("resolved", "not_watched")
            await step(app, watcher, 0.95)
            (alert,) = (await app.get("/api/alerts/history"))["alerts"]
            assert alert["state"] == "resolved"
