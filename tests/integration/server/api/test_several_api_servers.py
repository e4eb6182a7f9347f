"""Two API servers on one database: each answers any question, whichever of them took the samples in."""

import asyncio
from pathlib import Path
from typing import Any

from bongsu.alerts.rules_file import parse_rule
from bongsu.core.series import Kind, Layout, Series
from bongsu.core.units import HOUR_MS
from bongsu.server.alerts.queries.rules import import_rules
from bongsu.server.database.leases import OwnShare
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.pushes import LAYOUT, a_frame, a_push

NOW = 1_790_000_000_000


async def poll(app: RunningApp, *others: RunningApp) -> None:
    """What an API server does every second. Their own loops do not follow the clock of the tests, so here they tell each
    other that they are there."""
    for server in (app, *others):
        await OwnShare(server.services.database, server.clock).announce()
    await app.services.fleet.look()


async def current(app: RunningApp) -> dict[str, float | None]:
    (server,) = (await app.get("/api/metrics/current"))["servers"]
    return {series["metric"]: series["value"] for series in server["series"]}


async def test_what_one_took_in_the_other_knows(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    async with running_app(tmp_path, clock=clock) as one, running_app(tmp_path, clock=clock) as other:
        await one.push(a_push([a_frame(NOW, (0.25, 1024.0, 100.0))]))
        await poll(other, one)
        assert [server["name"] for server in (await other.get("/api/servers"))["servers"]] == ["web-1"]
        assert (await current(other))["cpu_usage_ratio"] == 0.25
        more = Layout.of((*LAYOUT.series, Series("queue_length", (), "", Kind.GAUGE)))
        clock.advance(10)
        await one.push(a_push([a_frame(clock.now_ms(), (0.5, 1024.0, 1100.0, 7.0), more)], layouts=[more]))
        await poll(other, one)
        assert await current(other) == await current(one)
        assert (await current(other))["queue_length"] == 7.0
        catalog = (await other.get("/api/metrics/catalog"))["metrics"]
        assert "queue_length" in {metric["metric"] for metric in catalog}
        history = await other.get("/api/metrics/history", metric="queue_length", start="-1m", end=clock.now_ms() + 1)
        (series,) = history["series"]
        assert series["values"] == [7.0]


async def test_a_server_stays_up_in_both_while_its_agent_sends_to_one(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    async with running_app(tmp_path, clock=clock) as one, running_app(tmp_path, clock=clock) as other:
        for number in range(12):
            await one.push(a_push([a_frame(clock.now_ms(), (number / 100, 0.0, 0.0))]))
            await one.push(a_push([], name="idle"))
            await poll(other, one)
            servers = (await other.get("/api/servers"))["servers"]
            assert {server["name"]: server["state"] for server in servers}["web-1"] == "up"
            clock.advance(10)
        clock.advance(60)
        await poll(other, one)
        assert {server["state"] for server in (await other.get("/api/servers"))["servers"]} == {"down"}


async def test_what_an_agent_reports_of_itself_reaches_the_other(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    async with running_app(tmp_path, clock=clock) as one, running_app(tmp_path, clock=clock) as other:
        await one.push(a_push([a_frame(NOW)]))
        await poll(other, one)
        push = a_push([], interval_ms=60_000)
        await one.push(push)
        await poll(other, one)
        (server,) = (await other.get("/api/servers"))["servers"]
        assert server["interval_ms"] == 60_000


async def test_a_layout_that_comes_back_after_long_is_seen_within_a_minute(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    rare = Layout.of((Series("backup_seconds", (), "seconds", Kind.GAUGE),))
    async with running_app(tmp_path, clock=clock) as one, running_app(tmp_path, clock=clock) as other:
        await one.push(a_push([a_frame(NOW, (3.0,), rare)], layouts=[rare]))
        await poll(other, one)
        clock.advance(2 * HOUR_MS // 1000)
        await poll(other, one)
        clock.advance(1)
        await one.push(a_push([a_frame(clock.now_ms(), (4.0,), rare)], layouts=[rare]))
        await poll(other, one)
        clock.advance(60)
        await poll(other, one)
        assert await current(other) == {"backup_seconds": 4.0}


async def test_alone_it_does_not_read_frames(tmp_path: Path, monkeypatch) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await app.push(a_push([a_frame(NOW)]))
        reads: list[object] = []
        monkeypatch.setattr("bongsu.server.fleet.changes.frames_after", lambda *_: reads.append(1) or [])
        await app.services.fleet.look()
        assert not reads


async def test_what_two_create_at_the_same_time_is_there_once(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    condition = {"type": "threshold", "metric": "cpu_usage_ratio", "value": 0.9}
    rules = [parse_rule({"name": f"Rule {number}", "condition": condition}) for number in range(5)]
    async with running_app(tmp_path, clock=clock) as one, running_app(tmp_path, clock=clock) as other:
        # Two workers at their first start.
        imports = await asyncio.gather(
            *(
                app.services.database.write(lambda connection: import_rules(connection, rules, NOW))
                for app in (one, other)
            )
        )
        assert sorted(len(imported.created) for imported in imports) == [0, 5]
        assert sorted(len(imported.unchanged) for imported in imports) == [0, 5]
        channel = {"name": "Ours", "type": "webhook", "config": {"url": "https://example.com/hook"}}
        bodies: dict[str, Any] = {
            "/api/alerts/rules": {"name": "Ours", "condition": condition},
            "/api/alerts/channels": channel,
        }
        for path, body in bodies.items():
            answers = await asyncio.gather(*(app.client.post(path, json=body) for app in (one, other)))
            assert sorted(answer.status_code for answer in answers) == [201, 409], [a.text for a in answers]
