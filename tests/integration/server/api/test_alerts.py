"""The alerts API: rules, channels, silences, previews, history, and the command line for rules."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from bongsu.alerts.rules_file import parse_rule, parse_rules
from bongsu.core.series import Series
from bongsu.server.alerts.queries.rules import import_rules
from bongsu.server.commands import rules
from tests.support.alerting import CPU_RULE, a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import running_app
from tests.support.endpoints import endpoint
from tests.support.pushes import CPU, a_frame, a_push, a_ramp
from tests.support.repository import REPOSITORY

NOW = 1_750_000_000_000


async def test_rules_are_created_changed_and_deleted(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        created = await a_rule(app, **{"for": "1m"})
        assert (created["rule"]["for"], created["from_file"], created["edited"]) == ("1m", False, False)
        again = await app.client.post("/api/alerts/rules", json=CPU_RULE)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "rule_exists")
        other = await a_rule(app, name="Other")
        taken = await app.client.put(f"/api/alerts/rules/{other['id']}", json=CPU_RULE)
        assert taken.status_code == 409
        changed = await app.client.put(f"/api/alerts/rules/{created['id']}", json=CPU_RULE | {"severity": "critical"})
        assert (changed.status_code, changed.json()["rule"]["severity"]) == (200, "critical")
        assert (await app.client.delete(f"/api/alerts/rules/{other['id']}")).status_code == 204
        assert [stored["rule"]["name"] for stored in (await app.get("/api/alerts/rules"))["rules"]] == ["CPU"]
        assert (await app.client.get(f"/api/alerts/rules/{other['id']}")).status_code == 404
        assert (await app.client.delete("/api/alerts/rules/99")).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        pytest.param({"condition": {"type": "threshold", "metric": "cpu_usgae_ratio", "value": 1}}, 400, "unknown_metric", "condition.metric", id="a metric that no server sends"),
        pytest.param({"condition": {"type": "threshold", "metric": "cpu_usage_ratio", "value": 1, "window": "9h"}}, 422, "invalid_input", "condition.threshold", id="a window of nine hours"),
        pytest.param({"for": "soon"}, 422, "invalid_input", "for", id="an invalid duration"),
        pytest.param({"name": "x" * 101}, 422, "invalid_input", "name", id="a long name"),
    ],
)  # fmt: skip
async def test_a_rule_that_cannot_work_is_refused(
    tmp_path: Path, change: dict, status: int, code: str, field: str
) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        answer = await app.client.post("/api/alerts/rules", json=CPU_RULE | change)
        assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["field"]) == (
            status,
            code,
            field,
        )


async def test_a_rule_whose_metric_no_server_sends_can_still_be_changed(tmp_path: Path) -> None:
    swap = {"name": "Swap", "condition": {"type": "threshold", "metric": "swap_usage_ratio", "value": 0.9}}
    async with running_app(tmp_path) as app:
        created = await make(app, "rules", swap)
        assert created["warnings"] == ["The scope covers no server at the moment."], "no server is known yet"
        await send_cpu(app, 0.5)
        off = await app.client.put(f"/api/alerts/rules/{created['id']}", json=swap | {"enabled": False})
        assert (off.status_code, off.json()["warnings"]) == (200, ["No server in the scope sends a matching series."])
        assert (await app.client.post("/api/alerts/rules", json=swap | {"name": "Other"})).status_code == 400


async def test_text_that_no_database_holds_is_refused(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        now = app.clock.now_ms()
        silence = await app.client.post("/api/alerts/silences", json={"ends_ms": now + 1, "comment": "a\0b"})
        assert silence.status_code == 422
        assert (await app.client.post("/api/alerts/1/acknowledge", json={"comment": "\0"})).status_code == 422
        assert (await app.client.get("/api/alerts/history", params={"rule": "\0"})).status_code == 422
        assert (await app.client.post("/api/alerts/silences", json={"ends_ms": 2**53})).status_code == 422


async def test_more_than_10_000_series_are_refused(tmp_path: Path) -> None:
    from bongsu.core.series import Layout

    async with running_app(tmp_path) as app:
        layouts = [
            Layout.of(tuple(Series("m", (("n", str(n)),)) for n in range(part * 5000, part * 5000 + 4000)))
            for part in range(3)
        ]
        assert (await app.push(a_push(layouts=layouts))).status_code == 200
        answer = await app.client.post(
            "/api/alerts/rules", json={"name": "r", "condition": {"type": "threshold", "metric": "m", "value": 1}}
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["limit"]) == (400, "too_many_series", 10_000)
        assert "12,000" in error["message"]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        pytest.param({"channels": ["nowhere"]}, "There is no channel 'nowhere'.", id="an unknown channel"),
        pytest.param({"scope": {"names": ["db-*"]}}, "The scope covers no server at the moment.", id="a scope without servers"),
        pytest.param({"condition": {"type": "threshold", "metric": "network_receive_bytes_total", "value": 1}}, "network_receive_bytes_total is a counter, which only rises; use rate or increase.", id="the average of a counter"),
        pytest.param({"condition": {"type": "threshold", "metric": "cpu_usage_ratio", "function": "rate", "value": 1}}, "cpu_usage_ratio is a gauge; rate and increase treat every fall as a counter reset.", id="the rate of a gauge"),
        pytest.param({"condition": {"type": "threshold", "metric": "cpu_usage_ratio", "window": "5s", "value": 1}}, "The window is shorter than the interval of a server in the scope, so it will often be empty.", id="a short window"),
        pytest.param({"condition": {"type": "threshold", "metric": "cpu_usage_ratio", "labels": {"core": "*"}, "value": 1}}, "No server in the scope sends a matching series.", id="a label that no series has"),
    ],
)  # fmt: skip
async def test_likely_mistakes_in_a_rule_are_warnings(tmp_path: Path, change: dict, warning: str) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        rule = await a_rule(app, **change)
        assert rule["warnings"] == [note["text"] for note in rule["notes"]] == [warning]


async def test_an_export_can_be_imported(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        await a_rule(app, scope={"tags": {"env": "prod"}}, **{"for": "5m"})
        text = (await app.client.get("/api/alerts/rules/export")).text
        (rule,) = parse_rules(text)
        assert rule.document() == CPU_RULE | {"scope": {"tags": {"env": "prod"}}, "for": "5m"}


async def test_an_import_does_not_change_what_people_changed_or_deleted(tmp_path: Path) -> None:
    def rules(value: float) -> list[Any]:
        names = ("edited", "deleted", "untouched")
        condition = CPU_RULE["condition"] | {"value": value}  # type: ignore[operator]
        return parse_rules(yaml.safe_dump({"rules": [{"name": name, "condition": condition} for name in names]}))

    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        database = app.application.api.state.services.database

        async def import_with(value: float) -> Any:
            return await database.write(lambda connection: import_rules(connection, rules(value), NOW))

        assert (await import_with(0.9)).created == ["edited", "deleted", "untouched"]
        listed = {stored["rule"]["name"]: stored for stored in (await app.get("/api/alerts/rules"))["rules"]}
        by_hand = listed["edited"]["rule"] | {"severity": "critical"}
        edited = await app.client.put(f"/api/alerts/rules/{listed['edited']['id']}", json=by_hand)
        assert (edited.json()["from_file"], edited.json()["edited"]) == (True, True)
        await app.client.delete(f"/api/alerts/rules/{listed['deleted']['id']}")
        imported = await import_with(0.8)
        assert (imported.created, imported.updated, imported.kept) == ([], ["untouched"], ["edited", "deleted"])
        assert (await import_with(0.8)).unchanged == ["untouched"]
        after = {stored["rule"]["name"]: stored["rule"] for stored in (await app.get("/api/alerts/rules"))["rules"]}
        assert {name: rule["condition"]["value"] for name, rule in after.items()} == {"edited": 0.9, "untouched": 0.8}


async def test_a_rule_that_is_no_longer_built_in_is_deleted_unless_it_was_edited(tmp_path: Path) -> None:
    rules = [parse_rule(CPU_RULE | {"name": name}) for name in ("old", "edited", "kept")]
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        database = app.application.api.state.services.database
        await database.write(lambda connection: import_rules(connection, rules, NOW))
        listed = {stored["rule"]["name"]: stored for stored in (await app.get("/api/alerts/rules"))["rules"]}
        by_hand = listed["edited"]["rule"] | {"severity": "critical"}
        await app.client.put(f"/api/alerts/rules/{listed['edited']['id']}", json=by_hand)
        await database.write(lambda connection: import_rules(connection, [], NOW, retired={"old", "edited"}))
        assert [stored["rule"]["name"] for stored in (await app.get("/api/alerts/rules"))["rules"]] == [
            "edited",
            "kept",
        ]


async def test_the_api_takes_and_returns_conditions_that_hold_together(tmp_path: Path) -> None:
    high = {"metric": "memory_used_bytes", "per": "cpu_usage_ratio", "operator": "<", "value": 2.0}
    condition = CPU_RULE["condition"] | {"and": [high]}  # type: ignore[operator]
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        created = await a_rule(app, condition=condition)
        stored = await app.get(f"/api/alerts/rules/{created['id']}")
        (further,) = stored["rule"]["condition"]["and"]
        assert {key: further[key] for key in high} == high
        again = await app.client.put(f"/api/alerts/rules/{created['id']}", json=stored["rule"])
        assert again.json()["rule"] == stored["rule"], "what it returns can be sent back"
        misspelled = CPU_RULE | {"name": "b", "condition": condition | {"and": [high | {"per": "cpu_usage"}]}}
        refused = await app.client.post("/api/alerts/rules", json=misspelled)
        assert refused.status_code == 400
        assert refused.json()["error"]["field"].endswith("condition.and.0.per")


async def test_a_preview_of_conditions_that_must_hold_together(tmp_path: Path) -> None:
    from bongsu.core.series import Layout

    pair = Layout.of((CPU, Series("load_15m"), Series("cpu_cores")))
    async with running_app(tmp_path) as app:
        # The CPU is busy from the 60th frame, the load is high from the 120th to the 240th.
        frames = [
            a_frame(NOW - 3_600_000 + 10_000 * index, (0.99 if index >= 60 else 0.1, 12.0 if 120 <= index < 240 else 1.0, 4.0), pair)
            for index in range(360)
        ]  # fmt: skip
        await app.push(a_push(frames, layouts=[pair]))
        high = {"metric": "load_15m", "per": "cpu_cores", "function": "last", "value": 2}
        condition = {"type": "threshold", "metric": "cpu_usage_ratio", "function": "last", "value": 0.9, "and": [high]}
        (firing,) = (await preview(app, condition))["firings"]
        assert firing["fired_ms"] == NOW - 3_600_000 + 120 * 10_000
        assert firing["resolved_ms"] == NOW - 3_600_000 + 240 * 10_000


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = str(REPOSITORY / "config/alerts.yml")
    data = ["--data-dir", str(tmp_path)]
    assert rules.main(["check", pack]) == 0
    assert rules.main(["import", pack, *data]) == 0
    assert "created: Server down" in capsys.readouterr().out
    exported = tmp_path / "out.yml"
    assert rules.main(["export", "--output", str(exported), *data]) == 0
    assert sorted(parse_rules(exported.read_text()), key=lambda rule: rule.name) == sorted(
        parse_rules(Path(pack).read_text()), key=lambda rule: rule.name
    )
    exported.write_text("rules:\n- {name: a, condition: {type: server_down}, fore: 5m}\n")
    assert rules.main(["check", str(exported)]) == 2
    assert "rules[0] (a).fore" in capsys.readouterr().err


async def test_secrets_are_never_returned_logged_or_stored_in_the_clear(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "xoxb-very-secret"
    with endpoint() as hook:
        async with running_app(tmp_path) as app:
            config = {"url": f"{hook.url}/{secret}", "secret": secret}
            created = await make(app, "channels", {"name": "hook", "type": "webhook", "config": config})
            assert (created["secrets"], created["channel"]["config"]) == (["secret", "url"], {})
            wrong = await app.client.post(
                "/api/alerts/channels", json={"name": "x", "type": "webhook", "config": config | {"nope": secret}}
            )
            assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "config.nope")
            hook.usual = (500, {}, "no")
            test = await app.client.post(f"/api/alerts/channels/{created['id']}/test")
            text = "The webhook answered 500."
            note = {"code": "status", "parameters": {"service": "webhook", "status": 500}, "text": text}
            assert test.json() == {"sent": False, "answer": text, "notes": [note], "retryable": True}
            changed = await app.client.put(
                f"/api/alerts/channels/{created['id']}", json={"name": "renamed", "type": "webhook"}
            )
            assert (changed.status_code, changed.json()["secrets"]) == (200, ["secret", "url"])
            hook.usual = (200, {}, "ok")
            assert (await app.client.post(f"/api/alerts/channels/{created['id']}/test")).json()["sent"]
            assert hook.received[-1].path == f"/{secret}"
            assert hook.received[-1].json["event"] == "test"
            returned = "".join(answer.text for answer in (wrong, test, changed))
            returned += json.dumps(await app.get("/api/alerts/channels")) + json.dumps(created)
            assert secret not in returned
    log = "".join(record.getMessage() for record in caplog.records if record.name.startswith("bongsu"))
    assert secret not in log
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param({"type": "pigeon"}, "unknown_channel_type", id="an unknown type"),
        pytest.param({"type": "slack"}, "invalid_channel", id="no webhook URL"),
        pytest.param({"type": "email", "config": {"host": "h", "sender": "nobody", "to": ["a@b"]}}, "invalid_channel", id="a sender that is not an address"),
        pytest.param({"type": "email", "config": {"host": "h", "sender": "a@b", "to": ["a@b\r\nBcc: c@d"]}}, "invalid_channel", id="a line break in an address"),
        pytest.param({"type": "email", "config": {"host": "h", "sender": "a@b", "to": ["a@b"], "security": "none", "password": "x"}}, "invalid_channel", id="a password without TLS"),
    ],
)  # fmt: skip
async def test_invalid_channels_are_refused(tmp_path: Path, document: dict, code: str) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.client.post("/api/alerts/channels", json={"name": "c"} | document)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_waiting_notifications_of_a_deleted_channel_are_dropped(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.usual = (503, {}, "later")
            await send_cpu(app, 0.95)
            await a_rule(app)
            channel = await a_webhook(app, hook.url)
            await watcher.evaluate()
            assert [
                notification["state"] for notification in (await app.get("/api/alerts/notifications"))["notifications"]
            ] == ["queued"]
            assert (await app.client.delete(f"/api/alerts/channels/{channel['id']}")).status_code == 200
            assert [
                notification["state"] for notification in (await app.get("/api/alerts/notifications"))["notifications"]
            ] == ["dropped"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param({"starts_ms": 1}, "body", id="no end"),
        pytest.param({"ends_ms": NOW - 1}, "ends_ms", id="an end in the past"),
        pytest.param({"weekly": {"start": "25:00", "duration": "1h"}}, "weekly.start", id="an invalid time of day"),
        pytest.param({"weekly": {"start": "02:00", "duration": "1h", "timezone": "Mars/Olympus"}}, "weekly.timezone", id="an unknown time zone"),
        pytest.param({"weekly": {"start": "02:00", "duration": "8d"}}, "weekly", id="longer than a week"),
    ],
)  # fmt: skip
async def test_invalid_silences_are_refused(tmp_path: Path, document: dict, field: str) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.client.post("/api/alerts/silences", json=document)
        assert answer.status_code in (400, 422)
        assert answer.json()["error"]["field"] == field


async def test_silences_are_changed_and_deleted(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        weekly = {"weekly": {"days": ["sun"], "start": "15:00", "duration": "1h"}, "kind": "maintenance"}
        created = await make(app, "silences", weekly)
        assert created["active_until_ms"] == 1_750_003_200_000, "15:06:40 UTC on a Sunday, until 16:00"
        changed = await app.client.put(
            f"/api/alerts/silences/{created['id']}",
            json=weekly | {"weekly": {"days": ["mon"], "start": "15:00", "duration": "1h"}},
        )
        assert changed.json()["active_until_ms"] is None
        assert len((await app.get("/api/alerts/silences"))["silences"]) == 1
        assert (await app.client.delete(f"/api/alerts/silences/{created['id']}")).status_code == 204
        assert (await app.client.get(f"/api/alerts/silences/{created['id']}")).status_code == 404


async def preview(app: Any, condition: dict, start: str = "-2h", **rule: Any) -> Any:
    answer = await app.client.post(
        "/api/alerts/rules/preview", json={"rule": {"name": "r", "condition": condition} | rule, "start": start}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_preview_returns_the_alerts_that_a_rule_would_have_fired(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        # 0.5 + 0.4 sin(i / 10): above 0.85 from i = 10.7 to 20.7, and again every 62.8 frames.
        await app.push(a_push(a_ramp(NOW - 7_200_000, 720)))
        condition = {
            "type": "threshold",
            "metric": "cpu_usage_ratio",
            "function": "last",
            "window": "10s",
            "value": 0.85,
        }
        result = await preview(app, condition)
        assert (result["series"], result["step_ms"], result["count"]) == (1, 10_000, 4), (
            "the fourth is flapping and does not resolve"
        )
        first = result["firings"][0]
        assert first["fired_ms"] == NOW - 7_200_000 + 11 * 10_000
        assert first["resolved_ms"] == NOW - 7_200_000 + 21 * 10_000
        assert first["value"] == pytest.approx(0.5 + 0.4 * math.sin(1.1))
        assert first["since_ms"] == first["fired_ms"]
        assert (await preview(app, condition, **{"for": "2m"}))["count"] == 0, "it is above 0.85 for only 90 s"
        assert (await app.get("/api/alerts/rules"))["rules"] == [], "nothing is stored"


async def test_a_preview_of_a_server_that_was_down(tmp_path: Path) -> None:
    from bongsu.core.series import Layout

    uptime = Layout.of((Series("system_uptime_seconds", (), "seconds"), CPU))
    async with running_app(tmp_path) as app:
        frames = [
            a_frame(NOW - 7_200_000 + 10_000 * index, (index, 0.5), uptime)
            for index in range(720)
            if not 200 <= index < 300
        ]
        await app.push(a_push(frames, layouts=[uptime]))
        result = await preview(app, {"type": "server_down", "grace": "30s"})
        (firing,) = result["firings"]
        assert firing["fired_ms"] == NOW - 7_200_000 + 199 * 10_000 + 100_000, "the evaluation after 90 s of silence"
        assert firing["resolved_ms"] == NOW - 7_200_000 + 300 * 10_000


async def test_a_preview_of_a_forecast(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push(a_ramp(NOW - 7_200_000, 720)))
        # Memory rises by 1 KiB every 10 s: it reaches 2 MiB 2,048 frames after the first, 1,328 after the last.
        condition = {
            "type": "forecast",
            "metric": "memory_used_bytes",
            "history": "1h",
            "value": 2 << 20,
            "within": "4h",
        }
        result = await preview(app, condition)
        (firing,) = result["firings"]
        left = (2048 - (firing["fired_ms"] - (NOW - 7_200_000)) / 10_000) * 10
        assert firing["value"] == pytest.approx(left, abs=120)
        assert 4 * 3600 - 120 < left <= 4 * 3600 + 60 or firing["fired_ms"] <= NOW - 3_600_000


async def test_a_preview_of_two_months_is_refused(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        answer = await app.client.post("/api/alerts/rules/preview", json={"rule": CPU_RULE, "start": "-60d"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "start")


async def test_history_has_filters_and_pages(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        for name in ("web-1", "web-2", "db-1"):
            await send_cpu(app, 0.95, name=name)
        await a_rule(app)
        await a_rule(app, name="Database", severity="critical", scope={"names": ["db-*"]})
        await watcher.evaluate()
        app.clock.advance(1)
        listed = await app.get("/api/alerts/history", limit=3)
        rest = await app.get("/api/alerts/history", limit=3, cursor=listed["next"])
        assert (len(listed["alerts"]), len(rest["alerts"]), rest["next"]) == (3, 1, None)
        assert len((await app.get("/api/alerts/history", severity="critical"))["alerts"]) == 1
        assert len((await app.get("/api/alerts/history", rule="CPU"))["alerts"]) == 3
        assert len((await app.get("/api/alerts/history", server=[1, 2]))["alerts"]) == 2
        assert (await app.get("/api/alerts/history", state="resolved"))["alerts"] == []
        assert (await app.get("/api/alerts/history", start="-2h", end="-1h"))["alerts"] == []
        assert [alert["severity"] for alert in (await app.get("/api/alerts/active"))["alerts"]] == ["critical"] + 3 * [
            "warning"
        ]
        record = await app.get(f"/api/alerts/{listed['alerts'][0]['id']}", language="ko")
        assert record["summary"] == "최근 값: 95.0 % (기준값 90.0 % 초과)"
        (decision,) = record["decisions"]
        assert (decision["outcome"], decision["detail"]) == (
            "nobody to tell",
            "the rule names no channel and there is no default channel",
        )
        assert (await app.client.get("/api/alerts/999")).status_code == 404
