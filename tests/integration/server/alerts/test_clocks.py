"""Clocks that are wrong, workers that pause or restart, and what may end an alert: only evidence."""

import contextlib
from pathlib import Path

import pytest

from bongsu.core.samples import Push
from bongsu.core.series import Layout, Series
from bongsu.server.database.leases import OwnShare
from tests.support.alerting import Watcher, a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import RunningApp, running_app
from tests.support.endpoints import Endpoint, endpoint
from tests.support.pushes import CPU, MEMORY, a_frame, a_push

DOWN = {"name": "Down", "condition": {"type": "server_down"}}
NO_DATA = {"name": "Silent", "condition": {"type": "no_data", "metric": "cpu_usage_ratio", "after": "1m"}}


async def cycle(app: RunningApp, watcher: Watcher, value: float | None = None, *, behind: float = 0) -> None:
    """10 s pass, a frame arrives unless ``value`` is None, and the worker evaluates."""
    app.clock.advance(10)
    if value is not None:
        await send_cpu(app, value, behind=behind)
    await watcher.evaluate()


def events(hook: Endpoint) -> list[str]:
    return [request.json["event"] for request in hook.received]


async def active(app: RunningApp, state: str = "firing") -> list[str]:
    return [alert["rule_name"] for alert in (await app.get("/api/alerts/active", state=state))["alerts"]]


@pytest.mark.parametrize("behind", [36, 45, 60, 3_600, -120])
async def test_a_server_whose_clock_is_off_is_evaluated(tmp_path: Path, behind: int) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5, behind=behind)
        await a_rule(app, condition={"type": "threshold", "metric": "cpu_usage_ratio", "value": 0.9, "window": "1m"})
        await make(app, "rules", DOWN)
        for _ in range(10):
            await cycle(app, watcher, 0.99, behind=behind)
        assert await active(app) == ["CPU"]
        for _ in range(8):
            await cycle(app, watcher, 0.1, behind=behind)
        assert await active(app) == []


async def test_a_firing_alert_does_not_resolve_because_the_clock_is_behind(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await a_rule(app, repeat="0s")
            await a_webhook(app, hook.url)
            await cycle(app, watcher, 0.99)
            for _ in range(70):
                await cycle(app, watcher, 0.99, behind=50)
            assert events(hook) == ["fired"]
            await cycle(app, watcher, 0.1, behind=50)
            assert events(hook) == ["fired", "resolved"]


@pytest.mark.parametrize("back", [200, 7_200])
async def test_a_clock_that_is_set_back_does_not_make_the_server_down(tmp_path: Path, back: int) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        ahead = min(back, 200)
        await send_cpu(app, 0.5, behind=-ahead)
        await make(app, "rules", DOWN)
        await a_rule(app)
        for _ in range(3):
            await cycle(app, watcher, 0.5, behind=-ahead)
        for _ in range(30):
            await cycle(app, watcher, 0.5, behind=back - ahead)
            assert await active(app) == []
        await cycle(app, watcher, 0.99, behind=back - ahead)
        assert await active(app) == ["CPU"]


async def test_a_replayed_backlog_does_not_look_like_a_clock_that_is_behind(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await a_rule(app)
        await watcher.evaluate()
        outage = app.clock.now_ms()
        app.clock.advance(3_600)
        for part in range(12):
            frames = [a_frame(outage + 10_000 * (30 * part + index + 1), (0.99, 0, 0)) for index in range(30)]
            await app.push(a_push(frames))
            app.clock.advance(10)
            await watcher.evaluate()
        # The last frames are of 2 minutes ago, the outage's end; then come those of now.
        for _ in range(5):
            await cycle(app, watcher, 0.5)
        assert (await app.get("/api/alerts/history"))["alerts"] == []


@pytest.mark.parametrize("pause", [300, 36_000, -3_600])
async def test_a_pause_of_the_worker_is_no_silence_of_the_servers(tmp_path: Path, pause: int) -> None:
    """A suspended machine, a slow disk, or a clock of ours that was set."""
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await make(app, "rules", DOWN)
        await make(app, "rules", NO_DATA)
        await a_rule(app, no_data={"policy": "alert", "after": "5m"})
        for _ in range(3):
            await cycle(app, watcher, 0.5)
        app.clock.step(pause)
        for _ in range(3):
            await watcher.evaluate()
            assert await active(app) == []
            app.clock.advance(10)
        for _ in range(4):
            await cycle(app, watcher, 0.5)
        assert (await app.get("/api/alerts/history", start="-2d", end=str(app.clock.now_ms() + 86_400_000)))[
            "alerts"
        ] == []
        for _ in range(14):
            await cycle(app, watcher)
        assert "Down" in await active(app), "a server that is silent afterwards is down"


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_while_no_api_server_runs_nobody_is_silent(tmp_path: Path, killed: bool) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with running_app(tmp_path) as app:
            watcher = await stack.enter_async_context(watching(app, tmp_path))
            for name in ("web-1", "web-2"):
                await send_cpu(app, 0.5, name=name)
            await make(app, "rules", DOWN)
            await make(app, "rules", NO_DATA)
            await a_rule(app, no_data={"policy": "alert", "after": "5m"})
            for _ in range(14):
                await cycle(app, watcher, 0.5)
            before = (await app.get("/api/alerts/active"))["alerts"]
            found = {(alert["rule_name"], alert["server_name"]) for alert in before}
            assert found == {("Down", "web-2")}
        clock, owner = app.clock, OwnShare(watcher.database, app.clock)
        if killed:
            await owner.announce()
        watcher.presence = None
        for _ in range(60):
            clock.advance(10)
            await watcher.evaluate()
        async with running_app(tmp_path, clock=clock) as app:
            watcher.app, watcher.presence = app, owner
            for _ in range(4):
                await cycle(app, watcher)
            assert (await app.get("/api/alerts/active"))["alerts"] == before, "nothing is known of anyone yet"
            for _ in range(4):
                await cycle(app, watcher, 0.5)
            history = (await app.get("/api/alerts/history"))["alerts"]
            assert {alert["id"] for alert in history} == {alert["id"] for alert in before}, "no new one"
            for _ in range(14):
                await cycle(app, watcher)
            assert sorted(await active(app)) == ["Down", "Down"], "who is silent afterwards is down"


@pytest.mark.parametrize("dies", [False, True], ids=["a restart", "another worker takes over"])
@pytest.mark.parametrize("rule", [DOWN, NO_DATA], ids=["server_down", "no_data"])
async def test_a_restart_does_not_resolve_what_is_silent(tmp_path: Path, rule: dict, dies: bool) -> None:
    other = Layout.of((CPU,))
    with endpoint() as hook:
        async with running_app(tmp_path) as app:

            async def alive() -> None:
                if rule is NO_DATA:
                    await app.push(a_push([a_frame(app.clock.now_ms(), (float("nan"),), other)], layouts=[other]))

            async with watching(app, tmp_path) as watcher:
                await send_cpu(app, 0.5)
                await make(app, "rules", rule)
                await a_webhook(app, hook.url)
                await watcher.evaluate()
                for _ in range(14):
                    app.clock.advance(10)
                    await alive()
                    await watcher.evaluate()
                (alert,) = (await app.get("/api/alerts/active"))["alerts"]
                assert alert["state"] == "firing"
                await app.client.post(f"/api/alerts/{alert['id']}/acknowledge", json={"comment": "on it"})
                if not dies:
                    await watcher.shares.give_up()
            async with watching(app, tmp_path) as watcher:
                for _ in range(20):
                    app.clock.advance(10)
                    await alive()
                    await watcher.evaluate()
                (after,) = (await app.get("/api/alerts/active"))["alerts"]
                assert (after["id"], after["acknowledged_comment"]) == (alert["id"], "on it")
                assert events(hook) == ["fired"]
                for _ in range(2):
                    await cycle(app, watcher, 0.5)
                assert events(hook) == ["fired", "resolved"]


async def test_no_data_lasts_until_there_is_data(tmp_path: Path) -> None:
    other = Layout.of((CPU,))
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:

        async def alive(seconds: int, *more: Layout) -> None:
            app.clock.advance(seconds)
            push: Push = a_push([a_frame(app.clock.now_ms(), (0.5,), other)], layouts=[other, *more])
            assert (await app.push(push)).status_code == 200
            await watcher.evaluate()

        await send_cpu(app, 0.5)
        condition = {"type": "no_data", "metric": "memory_used_bytes", "after": "1m"}
        await make(app, "rules", {"name": "Silent", "condition": condition})
        await watcher.evaluate()
        for _ in range(8):
            await alive(10)
        assert await active(app) == ["Silent"]
        for _ in range(30):
            await alive(3_600)
        await alive(10, Layout.of((Series("load_15m"),)))
        await alive(10)
        assert await active(app) == ["Silent"]
        await cycle(app, watcher, 0.5)
        assert await active(app) == []


async def test_a_layout_that_was_unused_for_a_day_is_watched_again(tmp_path: Path) -> None:
    other = Layout.of((MEMORY,))
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await a_rule(app)
        await watcher.evaluate()
        for _ in range(30):
            app.clock.advance(3_600)
            await app.push(a_push([a_frame(app.clock.now_ms(), (0.5,), other)], layouts=[other]))
            await watcher.evaluate()
        (watch,) = watcher.cycle.fleet.watches.values()
        assert watch.keys == []
        for _ in range(8):
            await cycle(app, watcher, 0.95)
        assert await active(app) == ["CPU"]


async def test_a_series_that_is_sampled_less_often_than_its_server_is_evaluated(tmp_path: Path) -> None:
    slow, fast = Layout.of((CPU,)), Layout.of((MEMORY,))
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await app.push(a_push([a_frame(app.clock.now_ms(), (0.5,), slow)], layouts=[slow, fast]))
        await a_rule(app, **{"for": "4m"}, condition={"type": "threshold", "metric": "cpu_usage_ratio", "value": 0.9})
        for index in range(72):
            app.clock.advance(10)
            frames = [a_frame(app.clock.now_ms(), (1.0,), fast)]
            if index % 6 == 5:
                frames.append(a_frame(app.clock.now_ms(), (0.99,), slow))
            await app.push(a_push(frames, layouts=[slow, fast]))
            await watcher.evaluate()
        assert await active(app) == ["CPU"]


async def test_for_needs_evidence_without_a_gap(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await a_rule(app, **{"for": "15m", "no_data": {"policy": "keep"}})
        await cycle(app, watcher, 0.99)
        for _ in range(180):
            await cycle(app, watcher)
        await cycle(app, watcher, 0.99)
        assert (await active(app), await active(app, "pending")) == ([], ["CPU"]), "two samples, 30 minutes apart"
        for _ in range(89):
            await cycle(app, watcher, 0.99)
        assert await active(app) == []
        await cycle(app, watcher, 0.99)
        assert await active(app) == ["CPU"]
