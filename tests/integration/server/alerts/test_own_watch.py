"""Alerts about Bongsu itself: the API server tells of them, also when the worker is dead."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bongsu.alerts.rules_file import read_rules
from bongsu.core.errors import Unavailable
from bongsu.server.alerts.own_watch import ApiWatch, OwnWatch
from bongsu.server.alerts.queries.rules import import_rules
from bongsu.server.api import health
from bongsu.server.api.health import own_problems
from bongsu.server.database.job_runs import JobRun, store_job_runs
from bongsu.server.ingest import group_commit
from tests.support.alerting import a_webhook, send_cpu, watching
from tests.support.app import RunningApp, api_token, running_app
from tests.support.endpoints import Endpoint, endpoint
from tests.support.pushes import a_frame, a_push

# Tests call ``look``; only one runs the loop.
LOOP = OwnWatch.run


@contextlib.asynccontextmanager
async def own_watch(app: RunningApp) -> AsyncIterator[OwnWatch]:
    """The watch of an API server without its loop."""
    services = app.services
    watch = OwnWatch(services.settings, services.database, app.clock, lambda: own_problems(services))
    try:
        yield watch
    finally:
        await watch._stop_sending()
        await watch._alerts.give_up()


async def with_rules(app: RunningApp) -> None:
    await app.services.database.write(lambda connection: import_rules(connection, read_rules(None), app.clock.now_ms()))


async def look(app: RunningApp, watch: OwnWatch, times: int, *, worker: bool) -> None:
    """Evaluates every 10 s. ``worker``: it tells how its jobs fare."""
    for _ in range(times):
        app.clock.advance(10)
        if worker:
            await alive(app)
        await watch.look()
        if watch._delivery is not None:
            await watch._delivery._delivery.settle()


async def alive(app: RunningApp, *, late: bool = False, **changes: str) -> None:
    """``late``: its job does not end its run."""
    now_ms = app.clock.now_ms()
    run = JobRun("sealer", now_ms, now_ms, now_ms + (-1 if late else 60_000), **changes)
    await app.services.database.write(lambda connection: store_job_runs(connection, [run]))


def titles(hook: Endpoint) -> list[str]:
    return [request.json["title"] for request in hook.received]


async def test_a_worker_that_is_silent_is_told_by_the_api_server(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path, public_url="https://monitor.example") as app, own_watch(app) as watch:
            await with_rules(app)
            await a_webhook(app, hook.url)
            await look(app, watch, 12, worker=False)
            assert titles(hook) == [], "silent for two minutes at most"
            await look(app, watch, 14, worker=False)
            (message,) = (request.json for request in hook.received)
            assert message["title"] == "[ALERT] Bongsu has a problem: Bongsu"
            assert message["summary"].startswith("The worker does not run")
            assert message["url"] == "https://monitor.example/health"
            await look(app, watch, 20, worker=False)
            assert len(hook.received) == 1, "once"
            await look(app, watch, 14, worker=True)
            (alert,) = (await app.get("/api/alerts/history"))["alerts"]
            assert (alert["state"], alert["reason"], alert["server_id"]) == ("resolved", "recovered", 0)
            assert watch._delivery is None, "the worker sends the rest"


async def test_the_loop_goes_on_after_an_error_and_leaves_its_lease_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(tmp_path, alert_interval="1s") as app, own_watch(app) as watch, own_watch(app) as other:
        look, looks = watch.look, 0

        async def counted() -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                raise OSError("the database is away")
            await look()

        monkeypatch.setattr(watch, "look", counted)
        loop = asyncio.create_task(LOOP(watch))
        async with asyncio.timeout(60):
            while watch._alerts._cycle is None:
                await asyncio.sleep(0.02)
        assert looks > 1
        await other.look()
        assert other._alerts._cycle is None, "the first has the lease"
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await other.look()
        assert other._alerts._cycle is not None


async def test_a_restarted_api_server_continues_the_alert_and_ends_it_by_evidence(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await with_rules(app)
        async with own_watch(app) as watch:
            await look(app, watch, 30, worker=False)
        async with own_watch(app) as restarted:
            await look(app, restarted, 2, worker=True)
            (alert,) = (await app.get("/api/alerts/active"))["alerts"]
            assert alert["state"] == "firing"
            await look(app, restarted, 14, worker=True)
            assert (await app.get("/api/alerts/active"))["alerts"] == []
            assert len((await app.get("/api/alerts/history"))["alerts"]) == 1


async def test_a_failing_job_and_a_nearly_full_disk_are_alerts_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=100 * 1024**3, free=1024**3)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: usage)
    async with running_app(tmp_path) as app, own_watch(app) as watch:
        await with_rules(app)
        for _ in range(20):
            app.clock.advance(10)
            await alive(app, error="OSError: broken")
            await watch.look()
        active = (await app.get("/api/alerts/active", state="firing"))["alerts"]
        assert sorted(alert["series"] for alert in active) == [
            'bongsu_problem{code="disk_nearly_full"}',
            'bongsu_problem{code="job_failing"}',
        ]


@pytest.mark.parametrize("problem", [{"error": "OSError: broken"}, {"late": True}], ids=["it fails", "it does not end"])
async def test_a_job_that_does_not_do_its_work_is_told_by_the_api_server(
    tmp_path: Path, problem: dict[str, Any]
) -> None:
    """The job may be the one that sends."""
    with endpoint() as hook:
        async with running_app(tmp_path) as app, own_watch(app) as watch:
            await with_rules(app)
            await a_webhook(app, hook.url)
            for _ in range(20):
                await alive(app, **problem)
                await look(app, watch, 1, worker=False)
            (message,) = (request.json for request in hook.received)
            assert message["summary"].startswith("A job of the worker")


async def test_a_problem_that_passes_soon_is_no_alert(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, own_watch(app) as watch:
        await with_rules(app)
        for _ in range(11):
            await alive(app, error="OSError: broken")
            await look(app, watch, 1, worker=False)
        await look(app, watch, 12, worker=True)
        assert (await app.get("/api/alerts/active", state="firing"))["alerts"] == []
        assert (await app.get("/api/alerts/history"))["alerts"] == []


async def test_frames_that_cannot_be_stored_are_an_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise Unavailable("The disk is full.", code="disk_full")

    async with running_app(tmp_path) as app, own_watch(app) as watch:
        await with_rules(app)
        with monkeypatch.context() as patch:
            patch.setattr(group_commit, "store", full)
            answer = await app.push(a_push([a_frame(app.clock.now_ms())]))
            assert answer.status_code == 503
            await look(app, watch, 20, worker=True)
        (alert,) = (await app.get("/api/alerts/active", state="firing"))["alerts"]
        assert alert["series"] == 'bongsu_problem{code="disk_full"}'
        await send_cpu(app, 0.5)
        await look(app, watch, 20, worker=True)
        assert (await app.get("/api/alerts/active"))["alerts"] == []


async def test_alerts_that_are_not_evaluated_are_an_alert(tmp_path: Path) -> None:
    """Though the worker says that its jobs are well."""
    async with running_app(tmp_path) as app, own_watch(app) as watch:
        await with_rules(app)
        async with watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.5)
            await watcher.evaluate()
        await look(app, watch, 40, worker=True)
        (alert,) = (await app.get("/api/alerts/active", state="firing"))["alerts"]
        assert alert["series"] == 'bongsu_problem{code="alerts_not_evaluated"}'


async def test_of_two_api_servers_one_evaluates(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, own_watch(app) as first, own_watch(app) as second:
        await with_rules(app)
        for _ in range(30):
            await look(app, first, 1, worker=False)
            await second.look()
        assert len((await app.get("/api/alerts/history"))["alerts"]) == 1
        assert (first._alerts._cycle is not None, second._alerts._cycle is not None) == (True, False)


async def test_the_worker_leaves_these_alerts_alone(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher, own_watch(app) as watch:
        await with_rules(app)
        await send_cpu(app, 0.5)
        await look(app, watch, 30, worker=False)
        await watcher.evaluate()
        await watcher.evaluate()
        (alert,) = (await app.get("/api/alerts/active", state="firing"))["alerts"]
        assert alert["rule_name"] == "Bongsu has a problem"


async def test_who_sees_only_some_servers_does_not_see_them(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, own_watch(app) as watch:
        await with_rules(app)
        await look(app, watch, 30, worker=False)
        headers = {"Authorization": f"Bearer {await api_token(app.services, 1, 'viewer', {'team': 'x'})}"}
        restricted = await app.client.get("/api/alerts/active", headers=headers)
        assert restricted.json()["alerts"] == []


async def test_while_no_api_server_runs_the_worker_tells_of_it(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with contextlib.AsyncExitStack() as stack:
            async with running_app(tmp_path) as app:
                await with_rules(app)
                await a_webhook(app, hook.url)
                await send_cpu(app, 0.5)
                watcher = await stack.enter_async_context(watching(app, tmp_path))
                await watcher.evaluate()
                job = ApiWatch(app.services.settings, watcher.database, app.clock)
                await job.run(asyncio.Event())
                assert job._alerts.share.shards == frozenset(), "there is an API server"
            watcher.presence = None
            for _ in range(30):
                app.clock.advance(10)
                await job.run(asyncio.Event())
                await watcher.evaluate()
            (message,) = (request.json for request in hook.received)
            assert message["title"] == "[ALERT] Bongsu has a problem: Bongsu"
            assert message["summary"].startswith("No API server runs")
            async with running_app(tmp_path, clock=app.clock) as app, own_watch(app) as watch:
                await watch._alerts.share.announce()
                await job.run(asyncio.Event())
                await look(app, watch, 14, worker=True)
                await watcher.deliver()
                history = (await app.get("/api/alerts/history"))["alerts"]
                (alert,) = (alert for alert in history if "api_silent" in alert["series"])
                assert (alert["state"], alert["reason"], alert["server_id"]) == ("resolved", "recovered", 0)
