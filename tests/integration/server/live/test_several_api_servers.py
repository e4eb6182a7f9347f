"""An agent sends to one API server, a browser watches another: over PostgreSQL's notices, over Redis, and over nothing but
the look at the database once a second."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio.client import PubSub
from sqlalchemy import make_url

from bongsu.core.errors import Unavailable
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.fleet import changes
from bongsu.server.fleet.loading import store_last_seen
from bongsu.server.fleet.registry import Registry
from bongsu.server.live import feed, post
from bongsu.server.live.hub import Hub
from bongsu.server.live.watched import HEARD_SECONDS
from bongsu.wire import live
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.live import Seen, connected
from tests.support.pushes import LAYOUT, a_frame, a_push
from tests.support.redis import Redis, redis

__all__ = ["redis"]
NOW = 1_790_000_000_000
EVERYTHING = live.Subscribe(1, values=True, states=True)


@pytest.fixture(params=["own", "redis"])
def bus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """``own``: that of the database, which SQLite does not have."""
    if request.param == "redis":
        monkeypatch.setenv("BONGSU_REDIS_URL", request.getfixturevalue("redis").url)
    return str(request.param)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "GATHER_SECONDS", 0.001)
    monkeypatch.setattr(feed, "FIRST_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(feed, "LAST_RETRY_SECONDS", 0.2)
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.2)


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(6_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited for {what}")


@contextlib.asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[RunningApp, RunningApp]]:
    """Two API servers that know of each other."""
    clock = FakeClock(NOW)
    async with running_app(folder, clock=clock) as one, running_app(folder, clock=clock) as other:
        # Enrolling again would end the first token.
        other.tokens, other.enrolling = one.tokens, one.enrolling
        for app in (one, other):
            await until(lambda app=app: app.services.fleet.others, "the other API server")
            if app.services.feed is not None:
                await until(lambda app=app: app.services.feed.away_since is None, "the bus")
        yield one, other


def without_looking() -> None:
    """From now on only the feed tells of others."""
    for task in asyncio.all_tasks():
        if task.get_name() == "fleet":
            task.cancel()


async def push(app: RunningApp, value: float = 0.5, layout: Layout = LAYOUT) -> int:
    # Little: the leases by which they know of each other last 18 s of this clock, and are renewed by a real one.
    app.clock.advance(1)
    time_ms = app.clock.now_ms()
    values = (value, 1024.0, 100.0, 1.0)[: len(layout.series)]
    answer = await app.push(a_push([a_frame(time_ms, values, layout)], layouts=[layout]))
    assert answer.status_code == 200, answer.text
    return time_ms


async def test_both_know_the_clock_of_an_agent(tmp_path: Path, bus: str) -> None:
    async with two(tmp_path) as (one, other):

        async def push_with_clock(app: RunningApp, offset_ms: int) -> None:
            app.clock.advance(1)
            now_ms = app.clock.now_ms()
            answer = await app.push(replace(a_push([a_frame(now_ms)]), sent_ms=now_ms + offset_ms))
            assert answer.status_code == 200, answer.text

        await push_with_clock(one, 0)
        await until(lambda: other.services.registry.by_id, "the new server")
        await push_with_clock(one, 60_000)
        record = other.services.registry.by_id[1].record
        await until(lambda: record.clock_offset_ms == 60_000, "the clock")
        await push_with_clock(other, 60_000)
        for app in (one, other):
            await store_last_seen(app.services.database, app.services.registry)
        await until(lambda: one.services.registry.by_id[1].last_seen_ms == record.last_seen_ms, "the last frame")
        assert await one.get("/api/servers") == await other.get("/api/servers")
        jumps = (await other.get("/api/events", type="clock_jumped"))["events"]
        assert [(event["before"], event["after"]) for event in jumps] == [("0", "60000")]


async def test_what_one_takes_in_the_other_shows(tmp_path: Path, bus: str) -> None:
    more = Layout.of((*LAYOUT.series, Series("queue_length", (), "", Kind.GAUGE)))
    async with two(tmp_path) as (one, other), connected(other) as client, connected(one) as near:
        if one.services.feed is not None:
            without_looking()
        for viewer in (client, near):
            await viewer.say(EVERYTHING)
            await viewer.until(lambda seen: 1 in seen.subscriptions)
        times = [await push(one)]
        await other.services.live.look()
        await until(lambda: other.services.registry.by_id, "the new server")
        await other.services.live.look()
        await client.until(lambda seen: seen.times(1) == times, "the first frame")
        times.append(await push(one, layout=more))
        for viewer in (client, near):
            await viewer.until(lambda seen: seen.times(1) == times, "a frame of a new layout")
        assert client.seen.series(client.seen.samples[-1])["queue_length"] == 1.0
        # The agent moves to the other one, as behind a load balancer, and back.
        for number in range(6):
            times.append(await push(other if number % 2 else one, layout=more))
        for viewer in (client, near):
            await viewer.until(lambda seen: times[-1] in seen.times(1), "the last frame")
            # In this test frames come quicker than notices: one that came after a newer one is told as a gap.
            await viewer.until(lambda seen: not untold(seen, times), "every frame, or its gap")
            assert len(viewer.seen.gaps) <= 6, "each at most once"
            assert len(set(viewer.seen.times(1))) == len(viewer.seen.times(1)), "each frame once"


def untold(seen: Seen, times: list[int]) -> set[int]:
    """The times of which a client got neither a frame nor a gap."""
    told = [range(gap.start_ms, gap.end_ms + 1) for gap in seen.gaps]
    return {time_ms for time_ms in set(times) - set(seen.times(1)) if not any(time_ms in gap for gap in told)}


async def test_while_the_bus_is_away_nothing_stops_and_then_it_goes_on(
    tmp_path: Path, bus: str, database_url: str, request: pytest.FixtureRequest
) -> None:
    async with two(tmp_path) as (one, other), connected(other) as client:
        connects = [connections_of(app) for app in (one, other)]
        await push(one)
        await until(lambda: other.services.registry.by_id, "the server")
        await client.say(EVERYTHING)
        await client.until(lambda seen: seen.samples)
        feed_of_one = one.services.feed
        if bus == "redis":
            request.getfixturevalue("redis").stop()
            await until(lambda: feed_of_one.away_since is not None, "the end of the bus")
        elif feed_of_one is not None:
            await end_listeners(database_url)
        # Its own agents, and those of the other by the look at the database.
        near = await push(other)
        await client.until(lambda seen: near in seen.times(1), "a frame that came here")
        far = await push(one)
        await client.until(lambda seen: far in seen.times(1), "a frame that came to the other")
        if bus == "redis":
            request.getfixturevalue("redis").start()
        if feed_of_one is not None:
            await until(lambda: all(connects), "both to be back on the bus")
        if feed_of_one is not None:
            without_looking()
        again = await push(one)
        await client.until(lambda seen: again in seen.times(1), "a frame over the bus")
        assert not client.seen.behind


def connections_of(app: RunningApp) -> list[None]:
    """Grows by one with each connection to the bus from now on: then the feed looks at everything."""
    connects: list[None] = []
    if app.services.feed is not None:
        hear = app.services.feed._heard

        async def counting(server_ids: Mapping[int, tuple[int, int]] | None) -> None:
            await hear(server_ids)
            if server_ids is None:
                connects.append(None)

        app.services.feed._heard = counting
    return connects


async def end_listeners(database_url: str) -> None:
    """Ends the connections on which API servers listen, as a restart of PostgreSQL does."""
    address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    ended = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND (query LIKE '%pg_notify%' OR query LIKE 'LISTEN%') AND pid != pg_backend_pid()"
    )
    await connection.close()
    assert ended


async def test_an_agent_hurries_whichever_api_server_somebody_looks_through(tmp_path: Path, bus: str) -> None:
    async with two(tmp_path) as (one, other):
        await push(one)
        await until(lambda: other.services.registry.by_id, "the server")
        if one.services.feed is None:
            return  # SQLite without Redis has no bus
        async with connected(other) as client:
            await client.say(live.Subscribe(1, server_ids=(1,), values=True, watch=True))
            await client.settled()
            await until(lambda: one.services.live.watched.interval_ms(1) == 1_000, "the notice")
            assert one.services.live.watched.here == []
        one.services.live.watched._monotonic = lambda: time.monotonic() + HEARD_SECONDS
        assert one.services.live.watched.interval_ms(1) == 0, "nothing is heard of it any more"


async def test_events_are_told_by_every_api_server(tmp_path: Path, bus: str) -> None:
    async with two(tmp_path) as (one, other), connected(other) as client:
        await client.say(live.Subscribe(1, events=True))
        await client.settled()
        await other.services.live.look()
        await push(one)
        seen = await client.until(lambda seen: seen.events, "the news of a server that the other has added")
        assert [(event.type, event.server_name) for event in seen.events] == [("server_added", "web-1")]


async def test_whoever_stops_while_it_connects_leaves_no_connection(
    database_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Callable[[], bool]] = []

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    if database_url.startswith("postgresql"):
        bus: feed.Bus = feed.PostgresBus(database_url)
        connect = asyncpg.connect

        async def connecting(*arguments: object, **options: object) -> asyncpg.Connection:
            connection = await connect(*arguments, **options)
            opened.append(connection.is_closed)
            return connection

        monkeypatch.setattr(asyncpg, "connect", connecting)
        monkeypatch.setattr(asyncpg.Connection, "add_listener", never)
    else:
        bus = feed.RedisBus(redis.url)
        aclose = PubSub.aclose
        closed: list[None] = []

        async def closing(self: PubSub) -> None:
            closed.append(None)
            await aclose(self)

        monkeypatch.setattr(PubSub, "subscribe", never)
        monkeypatch.setattr(PubSub, "aclose", closing)
        opened.append(lambda: bool(closed))
    hub = Hub(Registry(), FakeClock(NOW), None, lambda: 0)  # type: ignore[arg-type]
    task = asyncio.create_task(feed.Feed(bus, "me", never, lambda: True, hub).run())
    await until(lambda: opened, "the connection")
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert opened[0]()


async def test_an_error_of_the_database_is_not_one_of_the_bus(
    tmp_path: Path, database_url: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    bus: feed.Bus = feed.PostgresBus(database_url) if "postgres" in database_url else feed.RedisBus(redis.url)
    heard: list[Mapping[int, tuple[int, int]] | None] = []

    async def failing(server_ids: Mapping[int, tuple[int, int]] | None) -> None:
        heard.append(server_ids)
        raise Unavailable("The database cannot be reached.")

    hub = Hub(Registry(), FakeClock(NOW), None, lambda: 0)  # type: ignore[arg-type]
    listening = feed.Feed(bus, "me", failing, lambda: True, hub)
    task = asyncio.create_task(listening.run())
    await until(lambda: heard == [None], "the first look")
    async with bus.connect() as connection:
        for number in (7, 8):
            await connection.tell(f"you {number}:1:2")
            await until(lambda number=number: heard[-1] == {number: (1, 2)}, "the notice")
    assert listening.away_since is None
    assert "is away" not in caplog.text
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_others_may_use_the_channel_too(tmp_path: Path, database_url: str, redis: Redis) -> None:
    bus: feed.Bus = feed.RedisBus(redis.url)
    if database_url.startswith("postgresql"):
        bus = feed.PostgresBus(database_url)
    heard: list[Mapping[int, tuple[int, int]] | None] = []

    async def hear(server_ids: Mapping[int, tuple[int, int]] | None) -> None:
        heard.append(server_ids)

    hub = Hub(Registry(), FakeClock(NOW), None, lambda: 0)  # type: ignore[arg-type]
    listening = feed.Feed(bus, "me", hear, lambda: True, hub)
    task = asyncio.create_task(listening.run())
    await until(lambda: heard == [None], "the first look")
    async with bus.connect() as connection:
        for notice in (
            "",
            "hello",
            "me 1,2",
            "you one,two",
            "you ",
            "you 1:2",
            "you w x",
            "you 7:1:2,8:3:3",
            "a b c",
            "a z 1",
        ):
            await connection.tell(notice)
        await until(lambda: len(heard) > 1, "the notice that can be read")
    assert heard == [None, {7: (1, 2), 8: (3, 3)}]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_frames_that_come_late_to_one_are_told_as_a_gap_by_the_other(tmp_path: Path, bus: str) -> None:
    async with two(tmp_path) as (one, other):
        if one.services.feed is None:
            return  # SQLite without Redis has no bus
        first = await push(one)
        await until(lambda: other.services.registry.by_id, "the server")
        async with connected(other) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            newest = await push(one)
            await client.until(lambda seen: newest in seen.times(1))
            backlog = [a_frame(first - 60_000 + 1_000 * step) for step in range(5)]
            assert (await one.push(a_push(backlog))).status_code == 200
            late = [frame.time_ms for frame in backlog]
            seen = await client.until(lambda seen: not untold(seen, late), "the gap")
            assert {gap.server_id for gap in seen.gaps} == {1}
            assert min(gap.start_ms for gap in seen.gaps) == first - 60_000
            assert max(gap.end_ms for gap in seen.gaps) < newest


async def ignoring(_ranges: object) -> None:
    """Nothing."""


async def test_what_came_while_one_hung_is_told_as_a_gap_by_the_other(tmp_path: Path, bus: str) -> None:
    """The one that hung takes frames for new that are older than what the other has."""
    async with two(tmp_path) as (one, other):
        if one.services.feed is None:
            return  # SQLite without Redis has no bus
        await push(one)
        await until(lambda: other.services.registry.by_id, "the server")
        async with connected(other) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            # It neither looks nor hears of what the other takes in.
            without_looking()
            one.services.fleet.hear = one.services.feed._heard = ignoring
            other.clock.advance(10)
            newest = await push(other)
            await client.until(lambda seen: newest in seen.times(1))
            held_up = [a_frame(newest - 8_000 + 1_000 * step) for step in range(5)]
            assert (await one.push(a_push(held_up))).status_code == 200
            (gap,) = (await client.until(lambda seen: seen.gaps)).gaps
            assert (gap.server_id, gap.start_ms, gap.end_ms) == (1, newest - 8_000, newest - 4_000)


async def test_those_who_watch_are_told_of_a_gap_when_the_bus_is_back(
    tmp_path: Path, bus: str, request: pytest.FixtureRequest
) -> None:
    if bus != "redis":
        return
    async with two(tmp_path) as (one, other), connected(other) as client:
        first = await push(one)
        await until(lambda: other.services.registry.by_id, "the server")
        await client.say(EVERYTHING)
        await client.until(lambda seen: seen.samples)
        redis = request.getfixturevalue("redis")
        redis.stop()
        await until(lambda: one.services.feed.away_since and other.services.feed.away_since, "the end of the bus")
        backlog = [a_frame(first - 60_000 + 1_000 * step) for step in range(5)]
        assert (await one.push(a_push(backlog))).status_code == 200
        redis.start()
        gap = (await client.until(lambda seen: seen.gaps)).gaps[0]
        assert gap.start_ms <= first - 60_000
        assert gap.end_ms >= first - 56_000


async def test_an_api_server_that_cannot_look_says_that_it_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (one, other), connected(other) as client:
        await push(one)
        await client.say(EVERYTHING)
        await client.settled()

        async def away(_function: object) -> None:
            raise Unavailable("The database cannot be reached.")

        with monkeypatch.context() as patch:
            patch.setattr(other.services.fleet._database, "read", away)
            await asyncio.sleep(0.5)
            other.clock.advance(changes.BEHIND_SECONDS + 1)
            await other.services.live.look()
            await client.until(lambda seen: seen.behind, "the word that it is behind")
            async with connected(other) as late:
                await late.until(lambda seen: seen.behind, "the word to one who comes later")
        await until(lambda: not other.services.fleet.behind, "the database")
        await other.services.live.look()
        await client.until(lambda seen: not seen.behind)
