"""Servers that somebody looks at: their agents are asked to sample every second, and history stays right."""

from functools import partial
from pathlib import Path

import pytest

from bongsu.core.samples import Frame
from bongsu.server.fleet.servers import set_tags
from bongsu.wire import json_form, live, protobuf
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.live import connected
from tests.support.people import add_person, person_token
from tests.support.pushes import a_frame, a_push

NOW = 1_790_000_000_000
WATCH = live.Subscribe(1, server_ids=(1,), values=True, watch=True)


async def asked(app: RunningApp, name: str = "web-1") -> int:
    """Pushes a frame. Returns the interval that the answer asks for."""
    app.clock.advance(1)
    answer = await app.push(a_push([a_frame(app.clock.now_ms())], name=name))
    assert answer.status_code == 200, answer.text
    return protobuf.decode_result(answer.content).interval_ms


async def test_as_long_as_somebody_looks(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        assert await asked(app) == 0
        assert await asked(app, "web-2") == 0
        async with connected(app) as one, connected(app) as other:
            await one.say(live.Subscribe(1, server_ids=(1,), values=True, states=True))
            await one.settled()
            assert await asked(app) == 0, "looking at values alone changes nothing"
            for client in (one, other):
                await client.say(WATCH)
                await client.settled()
            assert (await asked(app), await asked(app, "web-2")) == (1_000, 0)
            in_json = json_form.encode_push(a_push([a_frame(app.clock.now_ms() + 1)]))
            answer = await app.post(in_json, json_form.CONTENT_TYPE)
            assert answer.json()["hints"] == {"interval_ms": 1_000}
            await one.say(live.Unsubscribe(1))
            await one.settled()
            assert await asked(app) == 1_000, "the other still looks"
            await other.say(live.Subscribe(1, server_ids=(2,), values=True, watch=True))
            await other.settled()
            assert (await asked(app), await asked(app, "web-2")) == (0, 1_000)
        assert await asked(app, "web-2") == 0, "both are gone"
        assert app.services.live.watched.here == []


@pytest.mark.parametrize("server_ids", [(), (1, 2, 3, 4, 5)])
async def test_only_a_few_servers_by_id(tmp_path: Path, server_ids: tuple[int, ...]) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for number in range(5):
            await asked(app, f"web-{number}")
        async with connected(app) as client:
            await client.say(live.Subscribe(1, server_ids=server_ids, values=True, watch=True))
            seen = await client.until(lambda seen: seen.refusals)
            error = seen.refusals[0][1]
            assert (error.field, error.limit) == ("subscribe.servers", 4)
            assert app.services.live.watched.here == []


async def test_only_servers_that_one_may_see_and_only_as_long_as_one_may(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await asked(app)
        await app.services.fleet.change(partial(set_tags, server_id=1, tags={"team": "web"}))
        stranger = await person_token(app, await add_person(app, "viewer", tags={"team": "db"}))
        friend = await person_token(app, await add_person(app, "viewer", tags={"team": "web"}))
        async with connected(app, stranger) as client:
            await client.say(WATCH)
            assert (await client.until(lambda seen: seen.refusals)).refusals[0][1].code == "unknown_server"
            assert await asked(app) == 0
        async with connected(app, friend) as client:
            await client.say(WATCH)
            await client.settled()
            assert await asked(app) == 1_000
            await app.services.fleet.change(partial(set_tags, server_id=1, tags={"team": "db"}))
            await app.services.live.look()
            assert await asked(app) == 0


async def test_history_of_a_server_that_was_looked_at_for_a_while(tmp_path: Path) -> None:
    start_ms = NOW
    every_10_s = range(0, 1_200, 10)
    seconds = sorted({*every_10_s, *range(600, 900)})
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for chunk in range(0, len(seconds), 60):
            frames: list[Frame] = []
            for second in seconds[chunk : chunk + 60]:
                app.clock.advance((start_ms + 1_000 * second - app.clock.now_ms()) / 1000)
                frames.append(a_frame(app.clock.now_ms(), (0.5, float(second), 1_000.0 * second)))
            assert (await app.push(a_push(frames))).status_code == 200
        app.clock.advance(1)
        for max_points in (2_000, 300, 100, 50):
            answer = await app.get(
                "/api/metrics/history",
                metric=["memory_used_bytes", "network_receive_bytes_total"],
                start=str(start_ms),
                end=str(start_ms + 1_200_000),
                max_points=max_points,
            )
            for series in answer["series"]:
                values = [value for value in series["values"] if value is not None]
                assert len(series["times"]) <= max_points
                if series["metric"] == "network_receive_bytes_total":
                    assert values == pytest.approx([1_000.0] * len(values)), f"growth at {max_points} points"
                else:
                    assert values == sorted(values)
                    assert len(values) == len(series["times"]), "a point for each step: no step is below the interval"
                steps = [later - earlier for earlier, later in zip(series["times"], series["times"][1:], strict=False)]
                assert max(steps) <= max(10_000, answer["step_ms"] or 0)
        complete = await app.get("/api/metrics/completeness", start=str(start_ms), end=str(start_ms + 1_200_000))
        (server,) = complete["servers"]
        assert (server["ratio"], server["stored"], server["gaps"]) == (1.0, len(seconds), [])
        (listed,) = (await app.get("/api/servers"))["servers"]
        assert listed["interval_ms"] == 10_000
