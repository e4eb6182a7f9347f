"""How much one may ask for and leave unread, and that nothing is left of those who go."""

import asyncio
from pathlib import Path

import pytest

from bongsu.server.config import Limits, RateLimits
from bongsu.server.live import audiences, conversation, hub, outbox
from bongsu.wire import live
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.live import EVERYTHING, LiveClient, at_once, connected, push, server_id

__all__ = ["at_once"]

NOW = 1_790_000_000_000


async def test_a_slow_client_gets_the_newest_and_the_gap_and_others_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "OUTBOX_BYTES", 500)
    monkeypatch.setattr(conversation, "STALLED_SECONDS", 600.0)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        first = await server_id(app)
        async with connected(app) as slow, connected(app) as quick:
            for client in (slow, quick):
                await client.say(EVERYTHING)
                await client.until(lambda seen: seen.samples)
            slow.reads.clear()
            for _ in range(100):
                app.clock.advance(1)
                time_ms = await push(app)
                await quick.until(lambda seen, time_ms=time_ms: seen.times(first)[-1] == time_ms)
            slow.reads.set()
            await slow.until(lambda seen: seen.times(first)[-1] == time_ms, "the newest frame")
            got = slow.seen.times(first)
            assert len(got) < 50
            missed = {NOW + 1_000 * step for step in range(101)} - set(got)
            (gap,) = slow.seen.gaps
            assert (gap.start_ms, gap.end_ms) == (min(missed), max(missed))
            assert len(quick.seen.times(first)) == 101
            assert not quick.seen.gaps


async def test_a_client_that_reads_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "STALLED_SECONDS", 0.05)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app, connected(app) as client:
        client.reads.clear()
        await client.say(live.Ping(1))
        while app.services.live.clients:
            await asyncio.sleep(0.01)
        client.reads.set()
        assert (await client.until_closed())[0] == conversation.TOO_SLOW
        assert app.services.live.closed == {conversation.TOO_SLOW: 1}


@pytest.mark.parametrize(
    ("wanted", "field", "limit"),
    [
        (live.Subscribe(0, values=True), "subscribe.id", 1),
        (live.Subscribe(5), "subscribe.values", None),
        (live.Subscribe(5, server_ids=tuple(range(1, 1_002)), values=True), "subscribe.servers", 1_000),
        (live.Subscribe(5, metrics=("a" * 600,), values=True), "subscribe.metrics", 512),
        (live.Subscribe(5, names=("a*",) * 17, values=True), "subscribe.names", 16),
        (live.Subscribe(5, labels=("nonsense",), values=True), "subscribe.labels", None),
        (live.Subscribe(5, tags=("=x",), values=True), "subscribe.tags", None),
        (live.Subscribe(5, server_ids=(999,), values=True), "server", None),
    ],
)
async def test_bad_subscriptions_are_refused_with_field_and_limit(
    tmp_path: Path, wanted: live.Subscribe, field: str, limit: float | None
) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            await client.say(wanted)
            await client.until(lambda seen: seen.refusals)
            ((subscription, error),) = client.seen.refusals
            assert (subscription, error.field, error.limit) == (wanted.id, field, limit)
            app.clock.advance(10)
            await push(app)
            await client.until(lambda seen: len(seen.samples) == 2, "the subscription that is right")


async def test_garbage_in_the_middle_closes_that_connection_only(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as one, connected(app) as other:
            await other.say(EVERYTHING)
            await other.until(lambda seen: seen.samples)
            await one.say_bytes(b"\xff" * 100)
            assert (await one.until_closed())[0] == conversation.MALFORMED
            app.clock.advance(10)
            await push(app)
            await other.until(lambda seen: len(seen.samples) == 2)


async def test_limits_on_connections_subscriptions_streams_and_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "SUBSCRIPTIONS", 2)
    monkeypatch.setattr(hub, "STREAMS_PER_CLIENT", 3)
    async with running_app(tmp_path, clock=FakeClock(NOW), limits=Limits(live_connections_per_user=2)) as app:
        for number in range(3):
            await push(app, name=f"web-{number}")
        async with connected(app) as client, connected(app):
            third = LiveClient(app)
            bearer = app.client.headers["Authorization"].removeprefix("Bearer ")
            await third.say(live.Authenticate(live.PROTOCOL, bearer))
            assert (await third.until_closed())[0] == conversation.TOO_MANY
            await third.leave()
            await client.say(EVERYTHING)
            await client.until(lambda seen: len(seen.samples) == 3)
            await client.say(live.Subscribe(2, metrics=("cpu_usage_ratio",), values=True))
            await client.until(lambda seen: seen.refusals)
            assert client.seen.refusals[0][1].code == "too_many_streams"
            await client.say(live.Subscribe(2, states=True))
            await client.say(live.Subscribe(3, states=True))
            await client.until(lambda seen: len(seen.refusals) == 2)
            assert client.seen.refusals[1][1].code == "too_many_subscriptions"
            # A replacement is no further subscription.
            await client.say(live.Subscribe(1, metrics=("cpu_usage_ratio",), values=True))
            await client.until(lambda seen: len(seen.samples) == 6)
            assert len(client.seen.refusals) == 2


async def test_a_client_that_talks_too_much_has_to_wait(tmp_path: Path) -> None:
    rates = RateLimits(address="100000/minute", user="5/minute", login="100/minute", agent_per_second=1e6)
    async with running_app(tmp_path, clock=FakeClock(NOW), rate_limits=rates) as app, connected(app) as client:
        for number in range(1, 13):
            await client.say(live.Ping(number))
        await client.until(lambda seen: seen.refusals)
        assert client.seen.refusals[0][1].code == "too_many_requests"
        # Ten if a window of the rate ended in between.
        assert 5 <= len(client.seen.pongs) <= 10


async def test_nothing_is_left_of_clients_that_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "LINGER_SECONDS", -1.0)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for number in range(5):
            await push(app, name=f"web-{number}")
        live_hub = app.services.live
        for _ in range(3):
            async with connected(app) as client:
                for number in range(1, 4):
                    await client.say(live.Subscribe(number, values=True, states=True))
                await client.until(lambda seen: len(seen.subscriptions) == 3)
        await live_hub.look()
        of_servers = live_hub._audiences
        held = [live_hub.clients, of_servers.by_server, of_servers.followed, of_servers._lists]
        assert [len(one) for one in held] == [0, 0, 0, 0]


async def test_all_clients_together_have_a_limit_and_idle_streams_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "STREAMS", 2)
    monkeypatch.setattr(audiences, "IDLE_STREAMS", 1)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            for number, metric in enumerate(("cpu_usage_ratio", "memory_used_bytes", "network_receive_bytes_total"), 1):
                await client.say(live.Subscribe(number, metrics=(metric,), values=True))
            await client.until(lambda seen: seen.refusals)
            ((subscription, error),) = client.seen.refusals
            assert (subscription, error.code) == (3, "too_many_streams")
            for number in (1, 2):
                await client.say(live.Unsubscribe(number))
            await client.settled()
            await app.services.live.look()
            assert app.services.live.streams == 0, "too many to wait for clients that come back"
            await client.say(EVERYTHING)
            await client.until(lambda seen: 1 in seen.subscriptions and len(seen.samples) == 3)


async def test_whoever_asks_without_reading_is_not_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "OUTBOX_BYTES", 200)
    monkeypatch.setattr(conversation, "STALLED_SECONDS", 600.0)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            client.reads.clear()
            for number in range(1, 200):
                await client.say(live.Ping(number))
            (one,) = app.services.live.clients
            while one.outbox.room.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert one.outbox._part_bytes < 400
            client.reads.set()
            await client.until(lambda seen: len(seen.pongs) == 199)
