"""/api/health tells when alerts do not work."""

from pathlib import Path
from typing import Any

import pytest

from bongsu.server.alerts.delivery import MOST_ATTEMPTS
from tests.support.alerting import a_rule, a_webhook, send_cpu, watching
from tests.support.app import RunningApp, api_token, running_app
from tests.support.endpoints import endpoint
from tests.support.pushes import a_frame, a_push


async def codes(app: RunningApp) -> list[str]:
    """The problems, apart from that of having no worker process."""
    app.clock.advance(10)
    found = [problem["code"] for problem in (await app.get("/api/health"))["problems"]]
    return [code for code in found if code != "worker_silent"]


async def test_a_server_without_a_worker_has_no_problem(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        health = await app.get("/api/health")
        assert (health["status"], health["alerts"]["evaluated_ms"], health["alerts"]["skipped"]) == ("ok", None, [])


async def test_alerts_that_are_no_longer_evaluated(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await watcher.evaluate()
        evaluated_ms = app.clock.now_ms()
        assert await codes(app) == []
        assert (await app.get("/api/health"))["alerts"]["evaluated_ms"] == evaluated_ms
        app.clock.advance(120)
        assert await codes(app) == ["alerts_not_evaluated"]
        await watcher.evaluate()
        assert await codes(app) == []


async def test_notifications_that_wait_and_dead_letters(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.usual = (503, {}, "away")
            await send_cpu(app, 0.95)
            await a_rule(app, repeat="0s")
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            assert await codes(app) == []
            app.clock.advance(600)
            await watcher.evaluate()
            assert await codes(app) == ["notifications_late"]
            for _ in range(MOST_ATTEMPTS):
                app.clock.advance(2_400)
                await watcher.evaluate()
            assert await codes(app) == ["notifications_dead"]
            alerts = (await app.get("/api/health"))["alerts"]
            assert (alerts["waiting"], alerts["dead"]) == (0, 1)


async def test_a_server_whose_frames_cannot_be_placed_in_time(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await send_cpu(app, 0.5, name="replaying")
        await watcher.evaluate()
        start = app.clock.now_ms()
        app.clock.advance(36_000)
        for part in range(32):
            app.clock.advance(10)
            frame = a_frame(start + 60_000 * (part + 1))
            await app.push(a_push([frame], name="replaying"))
            await send_cpu(app, 0.5)
            await watcher.evaluate()
            if part == 10:
                assert await codes(app) == [], "a short replay is normal"
        assert await codes(app) == ["servers_not_evaluated"]
        ids = {server["name"]: server["id"] for server in (await app.get("/api/servers"))["servers"]}
        assert (await app.get("/api/health"))["alerts"]["blind_servers"] == [ids["replaying"]]
        headers = {"Authorization": f"Bearer {await api_token(app.services, 1, 'viewer', {'team': 'x'})}"}
        restricted = await app.client.get("/api/health", headers=headers)
        assert restricted.json()["alerts"]["blind_servers"] == [], "a server that this token may not see"


async def test_health_answers_without_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path) as app:

        async def fails(*_: Any) -> None:
            raise OSError("gone")

        monkeypatch.setattr(app.services.database, "read", fails)
        anonymous = await app.client.get("/api/health", headers={"Authorization": ""})
        assert (anonymous.status_code, anonymous.json()["status"]) == (200, "degraded")
