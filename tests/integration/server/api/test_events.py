"""Events: what happened to servers, as the API lists it and the live stream tells it."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from bongsu.core.events import Event, EventType
from bongsu.core.samples import Push
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.database.revisions import REPORTED, bump_revision
from bongsu.server.fleet.events import AGENT_EVENTS_PER_HOUR, delete_events_before, events_after, store_events
from bongsu.server.fleet.servers import set_tags
from bongsu.server.live import events as live_events
from bongsu.server.live.events import NewEvents
from bongsu.wire import live
from tests.support.alerting import a_rule, send_cpu, watching
from tests.support.app import RunningApp, api_token, running_app
from tests.support.clock import FakeClock
from tests.support.live import connected
from tests.support.people import add_person, person_token
from tests.support.pushes import HOST, a_frame, a_push

NOW = 1_790_000_000_000


async def push(app: RunningApp, *, name: str = "web-1", **changes: Any) -> None:
    """Pushes a frame of the present; ``changes``: of the agent or the host."""
    agent = {key: value for key, value in changes.items() if key == "version"}
    host = {key: value for key, value in changes.items() if key == "boot_time_ms"}
    sent = a_push([a_frame(app.clock.now_ms())], name=name, host=replace(HOST, **host))
    identity = replace(sent.agent, **agent) if agent else sent.agent
    moved = app.clock.now_ms() + changes["clock_ms"] if "clock_ms" in changes else 0
    answer = await app.push(Push(identity, sent.host, sent.layouts, sent.frames, [], moved))
    assert answer.status_code == 200, answer.text


async def types(app: RunningApp, **parameters: Any) -> list[str]:
    """The types of all events, oldest first."""
    return [event["type"] for event in reversed((await app.get("/api/events", **parameters))["events"])]


async def test_a_life_of_a_server(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        app.clock.advance(10)
        await push(app, version="0.2.0")
        await push(app, version="0.2.0", boot_time_ms=HOST.boot_time_ms + 9_000)
        await push(app, version="0.2.0", boot_time_ms=HOST.boot_time_ms + HOUR_MS)
        await push(app, version="0.2.0", boot_time_ms=HOST.boot_time_ms + HOUR_MS, clock_ms=0)
        await push(app, version="0.2.0", boot_time_ms=HOST.boot_time_ms + HOUR_MS, clock_ms=60_000)
        await app.client.post("/api/servers/1/retire")
        app.clock.advance(10)
        await app.client.post("/api/servers/1/restore")
        found = (await app.get("/api/events"))["events"]
        assert [event["type"] for event in reversed(found)] == [
            "server_added",
            "agent_updated",
            "rebooted",
            "clock_jumped",
            "server_retired",
            "server_restored",
        ]
        by_type = {event["type"]: event for event in found}
        assert by_type["agent_updated"] == {
            "id": by_type["agent_updated"]["id"],
            "time_ms": NOW + 10_000,
            "type": "agent_updated",
            "server_id": 1,
            "server_name": "web-1",
            "alert_id": None,
            "rule_name": "",
            "severity": None,
            "series": "",
            "before": "0.1.0",
            "after": "0.2.0",
        }
        # The clock that the agent's boot time comes from is set by seconds now and then.
        reboot = by_type["rebooted"]
        assert (reboot["before"], reboot["after"]) == (
            str(HOST.boot_time_ms + 9_000),
            str(HOST.boot_time_ms + HOUR_MS),
        )
        assert (by_type["clock_jumped"]["before"], by_type["clock_jumped"]["after"]) == ("0", "60000")


async def test_a_server_goes_down_and_comes_back(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app, watching(app, tmp_path) as watcher:
        for _ in range(3):
            await send_cpu(app, 0.5)
            await watcher.evaluate()
            app.clock.advance(10)
        for _ in range(10):
            await send_cpu(app, 0.5, name="db-1")
            await watcher.evaluate()
            app.clock.advance(10)
        assert await types(app, type="server_down") == ["server_down"], "once, however long"
        (down,) = (await app.get("/api/events", type="server_down"))["events"]
        assert down["server_name"] == "web-1"
        assert 60_000 < down["time_ms"] - (NOW + 20_000) <= 80_000
        # Another worker takes over, and knows.
        async with watching(app, tmp_path) as other:
            await watcher.shares.give_up()
            for value in (None, None, 0.5, 0.5):
                if value:
                    await send_cpu(app, value)
                await send_cpu(app, 0.5, name="db-1")
                await other.evaluate()
                app.clock.advance(10)
        assert await types(app, server=1, type=["server_down", "server_up"]) == ["server_down", "server_up"]


async def test_an_alert_fires_is_acknowledged_and_resolves(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app, watching(app, tmp_path) as watcher:
        await a_rule(app, severity="critical")
        await send_cpu(app, 0.5)
        await watcher.evaluate()
        for value in (0.99, 0.99):
            app.clock.advance(10)
            await send_cpu(app, value)
            await watcher.evaluate()
        (alert,) = (await app.get("/api/alerts/active", state="firing"))["alerts"]
        for _ in range(2):
            acknowledged = await app.client.post(f"/api/alerts/{alert['id']}/acknowledge", json={})
            assert acknowledged.status_code == 200
        for _ in range(10):
            app.clock.advance(60)
            await send_cpu(app, 0.1)
            await watcher.evaluate()
        kinds = ["alert_fired", "alert_acknowledged", "alert_resolved"]
        assert await types(app, type=kinds) == kinds, "each once"
        for event in (await app.get("/api/events", type=kinds))["events"]:
            assert (event["alert_id"], event["rule_name"], event["severity"]) == (alert["id"], "CPU", "critical")
            assert (event["server_id"], event["series"]) == (alert["server_id"], alert["series"])
        (by,) = (await app.get("/api/events", type="alert_acknowledged"))["events"]
        assert by["after"] == (await app.get(f"/api/alerts/{alert['id']}"))["alert"]["acknowledged_by"] != ""


async def test_range_filters_and_pages(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for name in ("web-1", "web-2"):
            await push(app, name=name)
        for version in range(5):
            app.clock.advance(HOUR_MS / 1000)
            await push(app, version=f"1.{version}")
        assert await types(app, server=2) == ["server_added"]
        assert await types(app, type="agent_updated", start="-90m") == ["agent_updated", "agent_updated"]
        assert await types(app, start=str(NOW), end=str(NOW + 1)) == ["server_added", "server_added"]
        seen: list[str] = []
        page = await app.get("/api/events", limit=3)
        while True:
            seen += [event["after"] for event in page["events"]]
            if page["next"] is None:
                break
            page = await app.get("/api/events", limit=3, cursor=page["next"])
        assert seen == ["1.4", "1.3", "1.2", "1.1", "1.0", "", ""]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"type": "party"}, "type"),
        ({"limit": 0}, "limit"),
        ({"limit": 1_001}, "limit"),
        ({"server": -1}, "server"),
        ({"start": "yesterday"}, "start"),
        ({"start": "now", "end": "-1h"}, "start"),
    ],
)
async def test_what_makes_no_sense_is_refused(tmp_path: Path, parameters: dict[str, Any], field: str) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.client.get("/api/events", params=parameters)
        assert answer.status_code in (400, 422)
        assert field in answer.json()["error"]["field"]


async def test_an_agent_cannot_fill_the_table(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        for turn in range(AGENT_EVENTS_PER_HOUR + 10):
            await push(app, version=f"2.{turn}")
        assert len(await types(app, limit=1_000)) == AGENT_EVENTS_PER_HOUR
        app.clock.advance(HOUR_MS / 1000 + 1)
        await push(app, version="3")
        assert len(await types(app, limit=1_000)) == AGENT_EVENTS_PER_HOUR + 1


async def test_events_of_servers_that_one_may_not_see_are_not_listed_or_told(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app, name="web-1")
        await push(app, name="db-1")
        await app.services.fleet.change(partial(set_tags, server_id=1, tags={"team": "web"}))
        token = await person_token(app, await add_person(app, "viewer", tags={"team": "web"}))
        mine = await app.client.get("/api/events", headers={"Authorization": f"Bearer {token}"})
        assert [event["server_name"] for event in mine.json()["events"]] == ["web-1"]
        foreign = await app.client.get(
            "/api/events", params={"server": 2}, headers={"Authorization": f"Bearer {token}"}
        )
        assert foreign.json()["events"] == []
        own = Event(EventType.ALERT_FIRED, NOW, 0, "Bongsu", 7, "Own", "critical")
        async with connected(app, token) as kim, connected(app) as admin:
            for client in (kim, admin):
                await client.say(live.Subscribe(1, events=True))
                await client.settled()
            await app.services.live.look()
            await app.services.database.write(partial(store_events, happened=[own]))
            await push(app, name="db-1", version="2")
            await push(app, name="web-1", version="2")
            seen = await admin.until(lambda seen: len(seen.events) == 3, "all events")
            assert [event.server_name for event in seen.events] == ["Bongsu", "db-1", "web-1"]
            await kim.until(lambda seen: seen.events, "the event of the server that kim may see")
            assert [event.server_name for event in (await kim.settled()).events] == ["web-1"]


async def test_events_are_told_as_they_happen_whoever_stores_them(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await a_rule(app)
        async with connected(app) as client, connected(app) as other:
            await client.say(live.Subscribe(1, events=True))
            await other.say(live.Subscribe(1, server_ids=(1,), values=True, states=True))
            await client.settled()
            await other.settled()
            await app.services.live.look()
            await watcher.evaluate()
            for value in (0.99, 0.99):
                app.clock.advance(10)
                await send_cpu(app, value)
                await watcher.evaluate()
            await push(app, name="new-1")
            await app.client.post("/api/servers/1/retire")
            seen = await client.until(lambda seen: len(seen.events) == 3, "three events")
            assert {(event.type, event.server_name) for event in seen.events} == {
                (EventType.ALERT_FIRED, "web-1"),
                (EventType.SERVER_ADDED, "new-1"),
                (EventType.SERVER_RETIRED, "web-1"),
            }
            listed = {event["id"]: event for event in (await app.get("/api/events"))["events"]}
            for event in seen.events:
                assert listed[event.id]["type"] == event.type
                assert listed[event.id]["time_ms"] == event.time_ms
                assert (listed[event.id]["alert_id"] or 0) == event.alert_id
            assert not (await other.settled()).events, "nobody asked"


async def test_what_happened_before_a_server_was_retired_is_told_though_it_is_seen_later(tmp_path: Path) -> None:
    """Its event was stored while this second's events were read; the retirement counts from now on."""
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client, connected(app) as other:
            await client.say(live.Subscribe(1, events=True))
            await other.say(live.Subscribe(1, names=("db-*",), events=True))
            await client.settled()
            await other.settled()
            await app.services.live.look()
            await app.client.post("/api/servers/1/retire")
            await app.services.live.look()
            fired = Event(EventType.ALERT_FIRED, NOW, 1, "web-1", 7, "CPU", "critical")
            await app.services.database.write(partial(store_events, happened=[fired]))
            await app.services.live.look()
            seen = await client.until(lambda seen: len(seen.events) == 2, "both events")
            assert [event.type for event in seen.events] == [EventType.SERVER_RETIRED, EventType.ALERT_FIRED]
            assert not (await other.settled()).events, "it selects other servers"


async def test_events_that_become_visible_out_of_order_are_all_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As transactions on PostgreSQL do that end in another order than they began."""
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        database = app.services.database
        take = NewEvents(database, app.services.registry).take
        await take()
        happened = [Event(EventType.SERVER_UP, NOW + turn, 1, "web-1") for turn in range(3)]
        await database.write(partial(store_events, happened=happened))
        first, *others = [event.id for event in await database.read(lambda c: events_after(c, 0, 10)) if event.id > 1]
        hidden = {first}

        def visible(connection: Connection, event_id: int, limit: int) -> list[Event]:
            return [event for event in events_after(connection, event_id, limit) if event.id not in hidden]

        monkeypatch.setattr(live_events, "events_after", visible)
        assert [event.id for event in await take()] == others
        assert not await take()
        hidden.clear()
        await database.write(partial(bump_revision, part=REPORTED))  # as its transaction ends
        assert [event.id for event in await take()] == [first]
        # One whose transaction was rolled back never becomes visible.
        await database.write(partial(store_events, happened=happened))
        first, *others = [event.id for event in await database.read(lambda c: events_after(c, others[-1], 10))]
        hidden.add(first)
        assert [event.id for event in await take()] == others
        for _ in range(live_events.PATIENCE):
            assert not await take()
        hidden.clear()
        assert not await take(), "nobody waits for it any more"
        await database.write(partial(store_events, happened=happened[:1]))
        assert len(await take()) == 1


async def test_old_events_go_but_not_the_last_word_on_a_server(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await watcher.evaluate()
        for _ in range(10):
            app.clock.advance(10)
            await send_cpu(app, 0.5, name="db-1")
            await watcher.evaluate()
        app.clock.advance(DAY_MS / 1000)
        await watcher.database.write(
            lambda connection: delete_events_before(connection, app.clock.now_ms(), most=1_000)
        )
        assert await types(app, start="-7d") == ["server_down"]


async def test_events_of_a_deleted_server_are_gone_at_once(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        await push(app, name="web-2")
        assert (await app.client.delete("/api/servers/1")).status_code == 204
        assert [event["server_name"] for event in (await app.get("/api/events"))["events"]] == ["web-2"]


async def test_without_events_nothing_is_said_and_an_api_token_may_read(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        assert await app.get("/api/events") == {"events": [], "next": None}
        token = await api_token(app.services, 1, "viewer")
        answer = await app.client.get("/api/events", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert (await app.client.get("/api/events", headers={"Authorization": ""})).status_code == 401
