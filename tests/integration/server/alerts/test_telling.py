"""Who is told what, in which order: nothing is swallowed, nothing arrives late, nobody is told twice."""

import itertools
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from bongsu.alerts.channels import CHANNELS
from bongsu.server.alerts import delivery
from bongsu.server.alerts.delivery import LONGEST_WAIT_SECONDS
from bongsu.server.alerts.jobs import AlertRetention
from tests.support.alerting import Watcher, a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import RunningApp, running_app
from tests.support.endpoints import Endpoint, endpoint
from tests.support.jobs import run_jobs


async def cycle(app: RunningApp, watcher: Watcher, value: float | None, *names: str, seconds: float = 10) -> None:
    """Some seconds pass, a frame of each server arrives unless ``value`` is None, and the worker evaluates."""
    app.clock.advance(seconds)
    for name in names or ("web-1",):
        if value is not None:
            await send_cpu(app, value, name=name)
    await watcher.evaluate()


def events(hook: Endpoint) -> list[str]:
    return [request.json["event"] for request in hook.received]


def titles(hook: Endpoint) -> list[str]:
    return [request.json["title"] for request in hook.received]


async def test_the_id_of_a_deleted_rule_is_not_used_again(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.95)
        first = await a_rule(app)
        await watcher.evaluate()
        (alert,) = (await app.get("/api/alerts/active"))["alerts"]
        await app.client.delete(f"/api/alerts/rules/{first['id']}")
        second = await a_rule(app)
        assert second["id"] > first["id"], "also if it has the same name"
        await cycle(app, watcher, 0.95)
        (other,) = (await app.get("/api/alerts/active"))["alerts"]
        assert (other["rule_id"], other["id"] > alert["id"]) == (second["id"], True)
        ended = await app.get(f"/api/alerts/{alert['id']}")
        assert ended["alert"]["reason"] == "not_watched"


async def test_ids_of_channels_silences_and_notifications_are_not_used_again(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            for path, document in (
                ("channels", {"name": "hook", "type": "webhook", "config": {"url": hook.url}}),
                ("silences", {"ends_ms": app.clock.now_ms() + 60_000}),
            ):
                first = await make(app, path, document)
                await app.client.delete(f"/api/alerts/{path}/{first['id']}")
                assert (await make(app, path, document))["id"] > first["id"]


async def test_a_deleted_rule_tells_the_end_of_its_alerts(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            async with watching(app, tmp_path) as watcher:
                await send_cpu(app, 0.95)
                rule = await a_rule(app)
                await a_webhook(app, hook.url)
                await watcher.evaluate()
                await app.client.delete(f"/api/alerts/rules/{rule['id']}")
                # It ends, and the worker restarts before its end is sent.
                app.clock.advance(10)
                await watcher.shares.renew()
                await watcher.cycle.run(watcher.shares.shards, app.clock.now_ms())
                await watcher.shares.give_up()
            async with watching(app, tmp_path) as watcher:
                await cycle(app, watcher, 0.95)
            assert titles(hook) == ["[ALERT] CPU: web-1", "[RESOLVED] CPU: web-1"]
            assert hook.received[1].json["summary"] == "The rule no longer covers it, so the alert was closed."
            assert (await app.get("/api/alerts/rules"))["rules"] == []
            app.clock.advance(400 * 86_400)
            await run_jobs(app.clock, tmp_path, AlertRetention)
            await a_rule(app, name="another")
            await run_jobs(app.clock, tmp_path, AlertRetention)
            assert [stored["rule"]["name"] for stored in (await app.get("/api/alerts/rules"))["rules"]] == ["another"]


async def test_a_disabled_rule_tells_the_end_of_its_alerts_after_a_restart(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            async with watching(app, tmp_path) as watcher:
                await send_cpu(app, 0.95)
                rule = await a_rule(app)
                await a_webhook(app, hook.url)
                await watcher.evaluate()
                await watcher.shares.give_up()
            await app.client.put(f"/api/alerts/rules/{rule['id']}", json=rule["rule"] | {"enabled": False})
            async with watching(app, tmp_path) as watcher:
                await cycle(app, watcher, 0.95)
            assert events(hook) == ["fired", "resolved"]


async def test_an_alert_never_arrives_after_its_end(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            hook.usual = (503, {}, "away")
            await watcher.evaluate()
            hook.usual = (200, {}, "ok")
            await cycle(app, watcher, 0.5)
            for _ in range(5):
                app.clock.advance(LONGEST_WAIT_SECONDS * 1.2)
                await watcher.deliver()
            assert events(hook) == ["fired", "resolved"], "the first was refused, and not sent again"
            listed = (await app.get("/api/alerts/notifications"))["notifications"]
            assert [entry["state"] for entry in listed] == ["sent", "superseded"]
            (alert,) = (await app.get("/api/alerts/history"))["alerts"]
            decisions = (await app.get(f"/api/alerts/{alert['id']}"))["decisions"]
            assert "a newer notification (resolved) replaces it" in [
                decision["detail"].partition(": ")[2] for decision in decisions
            ]


async def test_of_a_message_about_several_alerts_only_those_that_ended_are_taken_out(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            for name in ("web-1", "web-2"):
                await send_cpu(app, 0.95, name=name)
            await a_rule(app)
            await a_webhook(app, hook.url)
            hook.answers = [(503, {}, "away")]
            await watcher.evaluate()
            await send_cpu(app, 0.95, name="web-2")
            await cycle(app, watcher, 0.5, "web-1")
            app.clock.advance(LONGEST_WAIT_SECONDS * 1.2)
            await watcher.deliver()
            assert titles(hook) == [
                "[ALERT] CPU: web-1 and 1 more",
                "[RESOLVED] CPU: web-1",
                "[ALERT] CPU: web-2",
            ]


async def test_an_outcome_that_cannot_be_recorded_does_not_block_the_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:

            def fails(*_: Any) -> None:
                raise OSError("the disk is full")

            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            with monkeypatch.context() as patch:
                patch.setattr(delivery, "record_attempt", fails)
                await watcher.evaluate()
            await watcher.deliver()
            assert [request.json["possibly_repeated"] for request in hook.received] == [False, True]
            (sent,) = (await app.get("/api/alerts/notifications"))["notifications"]
            assert sent["state"] == "sent"


async def test_the_default_channels_get_what_a_deleted_channel_would_have_got(tmp_path: Path) -> None:
    with endpoint() as hook, endpoint() as default:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            channel = await a_webhook(app, hook.url, name="dba", default=False)
            await a_rule(app, channels=["dba"])
            deleted = await app.client.delete(f"/api/alerts/channels/{channel['id']}")
            assert deleted.status_code == 200
            first, second = deleted.json()["warnings"]
            assert first.startswith("Rules still name the channel 'dba': CPU.")
            assert second.startswith("There is no default channel")
            notes = [(note["code"], note["parameters"]) for note in deleted.json()["notes"]]
            assert notes == [("rules_name_channel", {"channel": "dba", "rules": "CPU"}), ("no_default_channel", {})]
            await cycle(app, watcher, 0.95)
            health = await app.get("/api/health")
            (untold,) = [problem for problem in health["problems"] if problem["code"] == "alerts_untold"]
            assert (untold["message"], untold["parameters"]) == (
                "Firing alerts that no channel takes: 1.",
                {"count": 1},
            )
            await a_webhook(app, default.url)
            await cycle(app, watcher, 0.95)
            assert titles(default) == ["[ALERT] CPU: web-1"]
            await cycle(app, watcher, 0.5)
            assert events(default) == ["fired", "resolved"]


async def test_a_renamed_channel_warns_of_rules_that_name_it(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            await send_cpu(app, 0.5)
            channel = await a_webhook(app, hook.url, name="dba")
            await a_rule(app, escalation=[{"after": "5m", "channels": ["dba"]}])
            document = {"name": "databases", "type": "webhook", "default": True}
            changed = await app.client.put(f"/api/alerts/channels/{channel['id']}", json=document)
            (warning,) = changed.json()["warnings"]
            assert warning.startswith("Rules still name the channel 'dba': CPU.")


async def test_the_end_of_an_alert_is_told_during_a_silence(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            await make(app, "silences", {"ends_ms": app.clock.now_ms() + 3_600_000})
            await cycle(app, watcher, 0.5)
            assert events(hook) == ["fired", "resolved"]
            await cycle(app, watcher, 0.95, seconds=30)
            await cycle(app, watcher, 0.5)
            assert events(hook) == ["fired", "resolved"], "nobody was told of the second one"


async def test_a_channel_that_takes_nothing_does_not_end_escalation(tmp_path: Path) -> None:
    with endpoint() as hook, endpoint() as boss:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_webhook(app, hook.url, enabled=False)
            await a_webhook(app, boss.url, name="boss", default=False)
            await a_rule(app, escalation=[{"after": "1m", "channels": ["boss"]}])
            for _ in range(9):
                await cycle(app, watcher, 0.95)
            assert (events(hook), events(boss)) == ([], ["escalated"])
            await cycle(app, watcher, 0.5)
            assert events(boss) == ["escalated", "resolved"]


@pytest.mark.parametrize("silenced_first", [True, False], ids=["silent from the start", "silenced after the alert"])
async def test_after_a_silence_the_escalation_steps_come_one_after_the_other(
    tmp_path: Path, silenced_first: bool
) -> None:
    with endpoint() as hook, endpoint() as boss:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_webhook(app, hook.url)
            await a_webhook(app, boss.url, name="boss", default=False)
            steps = [{"after": f"{minutes}m", "channels": ["boss"]} for minutes in (1, 2, 3)]
            await a_rule(app, escalation=steps)
            if not silenced_first:
                await cycle(app, watcher, 0.95)
            await make(app, "silences", {"ends_ms": app.clock.now_ms() + 600_000})
            for _ in range(59):
                await cycle(app, watcher, 0.95)
            assert (events(hook), events(boss)) == ([] if silenced_first else ["fired"], [])
            times: list[int] = []
            for _ in range(25):
                await cycle(app, watcher, 0.95)
                times += [app.clock.now_ms()] * (len(boss.received) - len(times))
            assert (events(hook), len(times)) == (["fired"], 3)
            assert [later - earlier for earlier, later in itertools.pairwise(times)] == [60_000, 60_000]


async def test_the_link_of_a_message_acknowledges_all_its_alerts(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            names = ("web-1", "web-2", "web-3")
            for name in names:
                await send_cpu(app, 0.5, name=name)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await cycle(app, watcher, 0.95, *names)
            page = hook.received[0].json["acknowledge_url"].removeprefix("https://monitor.example")
            shown = (await app.client.get(page)).text
            assert all(name in shown for name in names)
            assert (await app.client.post(page)).status_code == 200
            active = (await app.get("/api/alerts/active"))["alerts"]
            assert [alert["acknowledged_by"] for alert in active] == ["link"] * 3
            assert "<form" not in (await app.client.get(page)).text


async def test_an_sms_is_sent_again_only_to_the_numbers_that_did_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CHANNELS["sms"], "pause_seconds", 0)
    with endpoint() as twilio:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.95)
            await a_rule(app)
            numbers = ["+821000000001", "+821000000002", "+821000000003"]
            config = {
                "account_sid": "AC0123",
                "auth_token": "t0ken",
                "sender": "+15005550006",
                "to": numbers,
                "api_url": twilio.url,
            }
            await make(app, "channels", {"name": "sms", "type": "sms", "default": True, "config": config})
            twilio.usual = (201, {}, '{"sid": "SM1"}')
            twilio.answers = [(201, {}, '{"sid": "SM1"}'), (503, {}, "away")]
            await watcher.evaluate()
            app.clock.advance(LONGEST_WAIT_SECONDS)
            await watcher.deliver()
            sent_to = [urllib.parse.parse_qs(request.body.decode())["To"][0] for request in twilio.received]
            assert sent_to == [*numbers, numbers[1]]
            (sent,) = (await app.get("/api/alerts/notifications"))["notifications"]
            assert (sent["state"], sent["attempts"]) == ("sent", 2)


async def test_a_service_that_asks_for_time_gets_no_other_message_either(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.answers = [(429, {"Retry-After": "90"}, "slow down")]
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_rule(app, name="Other")
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            assert len(hook.received) == 1
            await a_rule(app, name="Third")
            for _ in range(8):
                await cycle(app, watcher, 0.95)
            assert len(hook.received) == 1
            await cycle(app, watcher, 0.95)
            assert len(hook.received) == 4


async def test_a_spreading_outage_is_two_messages(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            names = [f"web-{index}" for index in range(6)]
            for name in names:
                await send_cpu(app, 0.5, name=name)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            for count in range(1, 7):
                await cycle(app, watcher, 0.95, *names[:count])
            assert titles(hook) == ["[ALERT] CPU: web-0"]
            await cycle(app, watcher, 0.95, *names)
            assert titles(hook) == ["[ALERT] CPU: web-0", "[ALERT] CPU: web-1 and 4 more"]
            (first, *_) = [
                alert for alert in (await app.get("/api/alerts/active"))["alerts"] if alert["server_name"] == "web-1"
            ]
            decisions = (await app.get(f"/api/alerts/{first['id']}"))["decisions"]
            assert [decision["stage"] for decision in decisions] == ["wait", "send", "record"]


async def test_a_retried_webhook_has_the_time_of_its_attempt(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.answers = [(503, {}, "away")]
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            app.clock.advance(LONGEST_WAIT_SECONDS)
            await watcher.deliver()
            first, second = (int(request.headers["x-bongsu-timestamp"]) for request in hook.received)
            assert second - first == LONGEST_WAIT_SECONDS
            assert hook.received[0].json["time_ms"] == hook.received[1].json["time_ms"], "when it was queued"
