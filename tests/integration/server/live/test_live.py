"""The live stream: snapshot, frames, states, and what goes wrong."""

import math
from pathlib import Path

import pytest

from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.live.followed import Followed
from bongsu.wire import live
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.live import EVERYTHING, at_once, connected, push, server_id
from tests.support.pushes import CPU, LAYOUT, MEMORY, RECEIVED, a_frame, a_push

__all__ = ["at_once"]

NOW = 1_790_000_000_000


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
