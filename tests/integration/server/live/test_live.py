"""The live stream: snapshot, frames, states, rights, and what goes wrong."""

import asyncio
import math
from pathlib import Path

import pytest

from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.config import Limits, RateLimits
from bongsu.server.fleet.servers import set_tags
from bongsu.server.live import conversation, hub, outbox, post
from bongsu.server.live.followed import Followed
from bongsu.wire import live
from tests.support.app import RunningApp, api_token, running_app
from tests.support.clock import FakeClock
from tests.support.live import LiveClient, connected
from tests.support.people import add_person, person_token
from tests.support.pushes import CPU, LAYOUT, MEMORY, RECEIVED, a_frame, a_push

NOW = 1_790_000_000_000
EVERYTHING = live.Subscribe(1, values=True, states=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are pushed one after the other here: nothing is gained by gathering them."""
    monkeypatch.setattr(post, "GATHER_SECONDS", 0.001)


async def push(app: RunningApp, *values: float, name: str = "web-1", after_ms: int = 0) -> int:
    """Pushes a frame of LAYOUT and returns its time."""
    time_ms = app.clock.now_ms() + after_ms
    frame = a_frame(time_ms, values or (0.5, 1024.0, 100.0))
    answer = await app.push(a_push([frame], name=name))
    assert answer.status_code == 200, answer.text
    return time_ms


async def server_id(app: RunningApp, name: str = "web-1") -> int:
    servers = (await app.get("/api/servers", retired=True))["servers"]
    return next(int(server["id"]) for server in servers if server["name"] == name)


async def test_snapshot_first_then_every_frame(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app, 0.25, 1.0, 100.0)
        app.clock.advance(10)
        await push(app, 0.5, 2.0, 1100.0)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            seen = await client.until(lambda seen: seen.samples, "the snapshot")
            (sample,) = seen.samples
            info = seen.streams[sample.stream_id]
            assert (info.server_id, info.interval_ms) == (await server_id(app), 10_000)
            assert seen.series_lists[info.list_id] == (CPU, MEMORY, RECEIVED)
            assert sample.time_ms == NOW + 10_000
            assert sample.values == (0.5, 2.0, 1100.0)
            assert sample.rates == (100.0,), "growth per second of the only counter"
            assert seen.subscriptions == {1: ([sample.stream_id], [info.server_id])}
            assert seen.states == {info.server_id: live.State.UP}
            app.clock.advance(10)
            await push(app, 0.75, 3.0, 1600.0)
            seen = await client.until(lambda seen: len(seen.samples) == 2, "the next frame")
            assert (seen.samples[1].values, seen.samples[1].rates) == ((0.75, 3.0, 1600.0), (50.0,))
            app.clock.advance(10)
            await push(app, math.nan, 3.0, 20.0)
            seen = await client.until(lambda seen: len(seen.samples) == 3, "the frame after a reset of the counter")
            assert math.isnan(seen.samples[2].values[0])
            assert seen.samples[2].rates == (2.0,)
            assert not seen.gaps


async def test_the_first_frame_has_no_rate(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            seen = await client.until(lambda seen: seen.samples)
            assert math.isnan(seen.samples[0].rates[0])


async def test_only_what_was_selected_arrives(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for name in ("web-1", "web-2", "db-1"):
            await push(app, name=name)
        first, second, third = [await server_id(app, name) for name in ("web-1", "web-2", "db-1")]
        async with connected(app) as client:
            await client.say(live.Subscribe(1, names=("web-*",), metrics=("memory_used_bytes",), values=True))
            await client.say(
                live.Subscribe(2, server_ids=(third,), types=("network",), labels=("interface=eth*",), values=True)
            )
            await client.say(live.Subscribe(3, server_ids=(first,), states=True))
            seen = await client.until(lambda seen: len(seen.samples) == 3 and len(seen.subscriptions) == 3)
            by_server = {
                seen.streams[sample.stream_id].server_id: (seen.series(sample), sample.rates) for sample in seen.samples
            }
            assert by_server[first] == ({"memory_used_bytes": 1024.0}, ())
            assert by_server[second][0] == {"memory_used_bytes": 1024.0}
            assert by_server[third][0] == {"network_receive_bytes_total": 100.0}
            assert seen.subscriptions[1][1] == [first, second]
            assert seen.subscriptions[3] == ([], [first])
            lists = {seen.streams[stream_id].list_id for stream_id in seen.subscriptions[1][0]}
            assert len(lists) == 1, "servers with the same series share a list"
            await client.say(live.Unsubscribe(1))
            await client.settled()
            app.clock.advance(10)
            await push(app, name="web-1")
            await push(app, name="db-1")
            await client.until(lambda seen: len(seen.times(third)) == 2)
            assert len(client.seen.times(first)) == 1


async def test_a_frame_is_encoded_once_for_all_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = 0
    values = live.values

    def counting(*arguments: object) -> bytes:
        nonlocal encoded
        encoded += 1
        return values(*arguments)  # type: ignore[arg-type]

    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as one, connected(app) as two, connected(app) as three:
            clients = (one, two, three)
            for client in clients:
                # Different questions with the same answer.
                await client.say(live.Subscribe(7, names=("web*",) if client is one else (), values=True))
                await client.until(lambda seen: seen.samples)
            monkeypatch.setattr(live, "values", counting)
            app.clock.advance(10)
            await push(app)
            for client in clients:
                await client.until(lambda seen: len(seen.samples) == 2)
            assert encoded == 1
        assert not app.services.live.clients


async def test_the_least_interval_thins_out(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client, connected(app) as other:
            await client.say(live.Subscribe(1, min_interval_ms=5_000, values=True))
            await other.say(live.Subscribe(1, values=True))
            await client.until(lambda seen: seen.samples)
            await other.until(lambda seen: seen.samples)
            for _ in range(10):
                app.clock.advance(1)
                await push(app)
            await other.until(lambda seen: len(seen.samples) == 11)
            await client.settled()
            assert client.seen.times(1) == [NOW, NOW + 5_000, NOW + 10_000]
            assert not client.seen.gaps, "the client wanted it so"


async def test_a_new_layout_joins_the_subscription_and_an_old_one_leaves(tmp_path: Path) -> None:
    more = Layout.of((*LAYOUT.series, Series("queue_length", (), "", Kind.GAUGE)))
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            seen = await client.until(lambda seen: seen.samples)
            old = seen.samples[0].stream_id
            app.clock.advance(10)
            await app.push(a_push([a_frame(app.clock.now_ms(), (0.5, 1.0, 200.0, 7.0), more)], layouts=[more]))
            seen = await client.until(lambda seen: len(seen.samples) == 2)
            assert seen.series(seen.samples[1])["queue_length"] == 7.0
            new = seen.samples[1].stream_id
            await client.until(lambda seen: seen.subscriptions[1][0] == [old, new])
            for _ in range(4):
                app.clock.advance(10)
                await app.push(a_push([a_frame(app.clock.now_ms(), (0.5, 1.0, 200.0, 7.0), more)], layouts=[]))
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1][0] == [new], "the end of the old layout's stream")
            # And back again, as after the restart of an agent.
            app.clock.advance(10)
            await push(app)
            await client.until(lambda seen: len(seen.subscriptions[1][0]) == 2)
            assert not client.seen.gaps


async def test_servers_that_come_and_go(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app, connected(app) as client:
        await client.say(EVERYTHING)
        await client.until(lambda seen: seen.subscriptions == {1: ([], [])})
        await push(app)
        await app.services.live.look()
        first = await server_id(app)
        await client.until(lambda seen: seen.subscriptions[1][1] == [first] and seen.samples)
        assert client.seen.servers_changed
        assert client.seen.states == {first: live.State.UP}
        assert (await app.client.post(f"/api/servers/{first}/retire")).status_code == 200
        await app.services.live.look()
        await client.until(lambda seen: seen.subscriptions[1][1] == [])
        assert client.seen.states == {first: live.State.GONE}
        assert (await app.client.post(f"/api/servers/{first}/restore")).status_code == 200
        await app.services.live.look()
        await client.until(lambda seen: seen.subscriptions[1][1] == [first])


async def test_late_down_and_up_again_without_waiting(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        first = await server_id(app)
        async with connected(app) as client:
            await client.say(live.Subscribe(1, states=True))
            await client.until(lambda seen: seen.states == {first: live.State.UP})
            for seconds, state in ((31, live.State.LATE), (30, live.State.DOWN)):
                app.clock.advance(seconds)
                await app.services.live.look()
                await client.until(lambda seen, state=state: seen.states == {first: state}, str(state))
            await push(app)
            await client.until(lambda seen: seen.states == {first: live.State.UP}, "up, without another look")


async def test_a_client_that_comes_back_misses_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
        for _ in range(4):
            app.clock.advance(10)
            await push(app)
        async with connected(app) as client:
            await client.say(live.Subscribe(1, since_ms=NOW, values=True))
            await client.until(lambda seen: len(seen.samples) == 4)
            assert client.seen.times(1) == [NOW + 10_000 * step for step in range(1, 5)]
            assert not client.seen.gaps


async def test_a_client_that_was_away_for_long_is_told_of_the_gap(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        for _ in range(30):
            app.clock.advance(10)
            await push(app)
        first = await server_id(app)
        async with connected(app) as client:
            await client.say(live.Subscribe(1, since_ms=NOW, values=True))
            await client.until(lambda seen: seen.samples)
            (gap,) = client.seen.gaps
            oldest = client.seen.times(first)[0]
            assert gap == live.Missed(first, NOW + 1, oldest - 1)


async def test_frames_that_arrive_late_are_told_as_a_gap(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        first = await server_id(app)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            late = [a_frame(NOW - 10_000 * step) for step in range(1, 101)]
            await app.push(a_push(late))
            await client.until(lambda seen: seen.gaps)
            assert client.seen.gaps == [live.Missed(first, NOW - 1_000_000, NOW - 10_000)]
            # A replay up to the present: the last minute is sent, what was before is a gap.
            app.clock.advance(3_600)
            replayed = [a_frame(NOW + 10_000 * step) for step in range(1, 361)]
            await app.push(a_push(replayed))
            await client.until(lambda seen: seen.times(first)[-1] == NOW + 3_600_000)
            times = client.seen.times(first)[1:]
            assert times == [NOW + 3_600_000 - 10_000 * step for step in range(5, -1, -1)]
            assert client.seen.gaps[-1] == live.Missed(first, NOW + 10_000, times[0] - 10_000)


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


async def test_only_servers_that_one_may_see(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for name, team in (("web-1", "a"), ("web-2", "b")):
            await push(app, name=name)
            identity = await server_id(app, name)
            await app.services.fleet.change(
                lambda connection, identity=identity, team=team: set_tags(connection, identity, {"team": team})
            )
        first, second = await server_id(app, "web-1"), await server_id(app, "web-2")
        user = await add_person(app, "viewer", tags={"team": "a"})
        token = await api_token(app.services, user.id, "viewer")
        async with connected(app, token) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            assert client.seen.subscriptions[1][1] == [first]
            await client.say(live.Subscribe(2, server_ids=(second,), values=True))
            await client.until(lambda seen: seen.refusals)
            ((subscription, error),) = client.seen.refusals
            assert (subscription, error.code) == (2, "unknown_server")
            app.clock.advance(10)
            await push(app, name="web-2")
            await push(app, name="web-1")
            await client.until(lambda seen: len(seen.times(first)) == 2)
            assert not client.seen.times(second)
            # The server is given to the other team while the connection is open.
            await app.services.fleet.change(lambda connection: set_tags(connection, first, {"team": "b"}))
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1] == ([], []))
            assert client.seen.states[first] is live.State.GONE
            app.clock.advance(10)
            await push(app, name="web-1")
            await client.settled()
            assert len(client.seen.times(first)) == 2


async def test_changed_rights_take_effect_on_the_open_connection(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        first = await server_id(app)
        user = await add_person(app, "viewer")
        token = await api_token(app.services, user.id, "viewer")
        async with connected(app, token) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            admin = app.services.auth.directory.users[1]
            app.client.headers["Authorization"] = f"Bearer {await person_token(app, admin)}"
            answer = await app.client.patch(f"/api/users/{user.id}", json={"tags": {"team": "a"}})
            assert answer.status_code == 200, answer.text
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1][1] == [])
            await app.client.patch(f"/api/users/{user.id}", json={"tags": {}})
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1][1] == [first])
            answer = await app.client.patch(f"/api/users/{user.id}", json={"disabled": True})
            assert answer.status_code == 200, answer.text
            await app.services.live.look()
            assert (await client.until_closed())[0] == hub.UNAUTHENTICATED


async def test_a_token_is_renewed_or_the_connection_ends(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        user, other = await add_person(app, "viewer"), await add_person(app, "viewer")
        async with connected(app, await person_token(app, user)) as client:
            (expires_ms,) = client.seen.welcomes
            assert expires_ms == NOW + 15 * 60_000
            app.clock.advance(14 * 60)
            await client.say(live.Authenticate(live.PROTOCOL, await person_token(app, user)))
            await client.until(lambda seen: len(seen.welcomes) == 2)
            app.clock.advance(2 * 60)
            await app.services.live.look()
            await client.settled()
            app.clock.advance(14 * 60)
            await app.services.live.look()
            assert await client.until_closed() == (hub.UNAUTHENTICATED, "The token has expired.")
        async with connected(app, await person_token(app, user)) as client:
            await client.say(live.Authenticate(live.PROTOCOL, await person_token(app, other)))
            assert (await client.until_closed())[0] == hub.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\xff\xff garbage", conversation.MALFORMED),
        (b"", conversation.MALFORMED),
        (live.encode_client(live.Authenticate(live.PROTOCOL, "nonsense")), hub.UNAUTHENTICATED),
        (live.encode_client(live.Authenticate(live.PROTOCOL, "")), hub.UNAUTHENTICATED),
        (live.encode_client(live.Authenticate(99, "nonsense")), conversation.UNKNOWN_PROTOCOL),
        (live.encode_client(EVERYTHING), hub.UNAUTHENTICATED),
    ],
)
async def test_whoever_does_not_authenticate_is_closed(tmp_path: Path, said: bytes, code: int) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        client = LiveClient(app)
        await client.say_bytes(said)
        closed, reason = await client.until_closed()
        assert closed == code
        assert reason
        await client.leave()
        assert not app.services.live.clients


@pytest.mark.parametrize("whose", ["agent", "expired"])
async def test_other_tokens_do_not_open_the_stream(tmp_path: Path, whose: str) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        user = await add_person(app, "viewer")
        token = await app.agent_token("agent-web-1") if whose == "agent" else await person_token(app, user)
        app.clock.advance(16 * 60)
        client = LiveClient(app)
        await client.say(live.Authenticate(live.PROTOCOL, token))
        assert (await client.until_closed())[0] == hub.UNAUTHENTICATED
        await client.leave()


async def test_whoever_says_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "AUTHENTICATION_SECONDS", 0.05)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        client = LiveClient(app)
        assert await client.until_closed() == (hub.UNAUTHENTICATED, "Send a token first.")
        await client.leave()


async def test_pages_of_other_sites_are_refused(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW), cors_origins=["https://wall.example.com"]) as app:
        client = LiveClient(app, {"origin": "https://evil.example.com"})
        assert (await client.until_closed())[0] == 4403
        await client.leave()
        for origin in ("http://127.0.0.1", "https://wall.example.com"):
            async with connected(app, origin=origin) as client:
                await client.settled()


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
    monkeypatch.setattr(hub, "LINGER_SECONDS", -1.0)
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
        held = [live_hub.clients, live_hub._servers, live_hub._followed, live_hub._lists]
        assert [len(one) for one in held] == [0, 0, 0, 0]


async def test_agents_may_send_infinity(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        async with connected(app) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            app.clock.advance(10)
            await push(app, math.inf, -math.inf, math.inf)
            seen = await client.until(lambda seen: len(seen.samples) == 2)
            assert pack(seen.samples[1].values) == pack((math.inf, -math.inf, math.inf))


async def test_frames_that_cannot_be_handed_on_cost_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for name in ("web-1", "web-2"):
            await push(app, name=name)
        first, second = await server_id(app, "web-1"), await server_id(app, "web-2")
        async with connected(app) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: len(seen.samples) == 2)
            hand_on = Followed.hand_on

            def failing(followed: Followed, frames: list[Frame]) -> None:
                if followed.stream.server_id == first:
                    raise RuntimeError("a bug")
                hand_on(followed, frames)

            monkeypatch.setattr(Followed, "hand_on", failing)
            for _ in range(3):
                app.clock.advance(10)
                await push(app, name="web-1")
                await push(app, name="web-2")
            await client.until(lambda seen: len(seen.times(second)) == 4)
            assert len(client.seen.times(first)) == 1
        assert (await app.get("/api/health"))["ingest"]["frames_total"] == 8
    assert caplog.text.count("were not handed on") == 1


async def test_all_clients_together_have_a_limit_and_idle_streams_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "STREAMS", 2)
    monkeypatch.setattr(hub, "IDLE_STREAMS", 1)
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
