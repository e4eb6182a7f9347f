"""Delivery: retries, slow channels, dead letters, and a worker that is killed while it sends."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from bongsu.server.alerts.delivery import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, MOST_ATTEMPTS, backoff
from bongsu.server.alerts.jobs import AlertDelivery, AlertEvaluation, AlertRetention
from bongsu.server.config import Settings
from bongsu.server.database.database import open_database
from tests.support.alerting import a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import running_app
from tests.support.endpoints import endpoint
from tests.support.processes import wait_for
from tests.support.repository import REPOSITORY
from tests.support.smtp import mail_server


async def test_retry_after_is_respected(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.answers = [(429, {"Retry-After": "90"}, "slow down"), (500, {}, "oops")]
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            (queued,) = (await app.get("/api/alerts/notifications", state="queued"))["notifications"]
            assert queued["due_ms"] == app.clock.now_ms() + 90_000
            app.clock.advance(89)
            await watcher.deliver()
            assert len(hook.received) == 1
            app.clock.advance(1)
            await watcher.deliver()
            assert len(hook.received) == 2
            app.clock.advance(LONGEST_WAIT_SECONDS)
            await watcher.deliver()
            (sent,) = (await app.get("/api/alerts/notifications"))["notifications"]
            assert (sent["state"], sent["attempts"]) == ("sent", 3)
            assert [entry["outcome"] for entry in sent["log"]] == ["failed", "failed", "sent"]
            assert "answered 429." in sent["log"][0]["detail"]
            refused, later = sent["log"][0]["notes"]
            assert (refused["code"], refused["parameters"]) == ("status", {"service": "webhook", "status": 429})
            assert (later["code"], later["parameters"]) == ("tries_again", {"attempt": 1, "wait_seconds": 90})
            assert len({request.json["id"] for request in hook.received}) == 1, "a receiver can recognise a repeat"


@pytest.mark.parametrize(
    ("attempts", "retry_after", "expected"),
    [
        pytest.param(1, None, FIRST_WAIT_SECONDS, id="15 s"),
        pytest.param(2, None, 30.0, id="30 s"),
        pytest.param(5, None, 240.0, id="4 m"),
        pytest.param(11, None, LONGEST_WAIT_SECONDS, id="half an hour at most"),
        pytest.param(1, timedelta(minutes=5), 300.0, id="retry_after, if it is longer"),
        pytest.param(5, timedelta(seconds=1), 240.0, id="the backoff, if it is longer"),
    ],
)
def test_backoff(attempts: int, retry_after: timedelta | None, expected: float) -> None:
    assert backoff(attempts, retry_after, 0.5) == pytest.approx(expected)


async def test_dead_letters_are_kept_and_can_be_sent_again(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.usual = (503, {}, "away")
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            for _ in range(MOST_ATTEMPTS + 3):
                app.clock.advance(LONGEST_WAIT_SECONDS * 1.2)
                await watcher.deliver()
            assert len(hook.received) == MOST_ATTEMPTS
            (dead,) = (await app.get("/api/alerts/notifications", state="dead"))["notifications"]
            assert "after 12 attempts" in dead["log"][-1]["detail"]
            assert [note["code"] for note in dead["log"][-1]["notes"]] == ["status", "gave_up"]
            hook.usual = (200, {}, "ok")
            again = await app.client.post(f"/api/alerts/notifications/{dead['id']}/send-again")
            assert again.json()["state"] == "queued"
            await watcher.deliver()
            assert (await app.get("/api/alerts/notifications", state="dead"))["notifications"] == []
            twice = await app.client.post(f"/api/alerts/notifications/{dead['id']}/send-again")
            assert (twice.status_code, twice.json()["error"]["code"]) == (409, "not_dead")
            assert (await app.client.post("/api/alerts/notifications/99/send-again")).status_code == 404


async def test_a_permanent_failure_is_not_retried(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            hook.usual = (404, {}, "no such hook")
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            (dead,) = (await app.get("/api/alerts/notifications", state="dead"))["notifications"]
            assert dead["attempts"] == 1


async def test_a_slow_channel_does_not_delay_others(tmp_path: Path) -> None:
    released = threading.Event()
    with endpoint() as slow, mail_server() as box:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            slow.before = released.wait  # type: ignore[assignment]
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, slow.url)
            config = {
                "host": "127.0.0.1",
                "port": box.port,
                "security": "none",
                "sender": "a@example.com",
                "to": ["b@example.com"],
            }
            await make(
                app,
                "channels",
                {
                    "name": "mail",
                    "type": "email",
                    "default": True,
                    "language": "ko",
                    "timezone": "Asia/Seoul",
                    "config": config,
                },
            )
            await watcher.shares.renew()
            await watcher.cycle.run(watcher.shares.shards, app.clock.now_ms())
            await watcher.delivery.start_due()
            async with asyncio.timeout(60):
                while not box.mails:
                    await asyncio.sleep(0.01)
            states = {
                notification["channel_name"]: notification["state"]
                for notification in (await app.get("/api/alerts/notifications"))["notifications"]
            }
            assert states["hook"] == "sending"
            released.set()
            await watcher.delivery.settle()
            assert box.mails[0]["Subject"] == "[경보] CPU: web-1"
            assert len(slow.received) == 1


KILLED = """
import asyncio, sys
from pathlib import Path
import httpx
from bongsu.core.clock import SystemClock
from bongsu.server.alerts.delivery import Delivery
from bongsu.server.config import Settings
from bongsu.server.database.database import open_database
from bongsu.server.vault import open_vault
from tests.support.clock import FakeClock

async def main():
    folder = Path(sys.argv[1])
    settings = Settings(data_dir=folder)
    database = open_database(settings.effective_database_url)
    async with httpx.AsyncClient() as http:
        delivery = Delivery(settings, database, FakeClock(int(sys.argv[2])), open_vault(folder), lambda: http)
        await delivery.start_due()
        await delivery.settle()

asyncio.run(main())
"""


async def test_after_kill_9_while_sending_it_is_sent_again_as_a_possible_repeat(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            arrived, never = threading.Event(), threading.Event()
            hook.before = lambda: (arrived.set(), never.wait())[0]  # type: ignore[assignment,func-returns-value]
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.shares.renew()
            await watcher.cycle.run(watcher.shares.shards, app.clock.now_ms())
            command = [sys.executable, "-c", KILLED, str(tmp_path), str(app.clock.now_ms())]
            process = await asyncio.to_thread(
                subprocess.Popen, command, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
            )
            await asyncio.to_thread(wait_for, arrived.is_set, "the request of the process that will be killed")
            process.send_signal(signal.SIGKILL)
            assert await asyncio.to_thread(process.wait) == -signal.SIGKILL
            hook.before = None
            never.set()
            (notification,) = (await app.get("/api/alerts/notifications"))["notifications"]
            assert (notification["state"], notification["log"]) == ("sending", [])
            await watcher.deliver()
            assert len(hook.received) == 1, "the lease of the killed process is still valid"
            app.clock.advance(30)
            await watcher.deliver()
            assert [request.json["possibly_repeated"] for request in hook.received] == [False, True]
            assert hook.received[0].json["id"] == hook.received[1].json["id"]
            (notification,) = (await app.get("/api/alerts/notifications"))["notifications"]
            assert (notification["state"], notification["possibly_repeated"], notification["log"][0]["outcome"]) == (
                "sent",
                True,
                "sent, possibly a repeat",
            )


async def test_a_cycle_that_cannot_store_its_changes_loses_nothing(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.shares.renew()
            await watcher.shares.give_up()
            shards = frozenset(range(16))
            watcher.shares.shards = shards
            with pytest.raises(Exception, match="has taken over"):
                await watcher.cycle.run(shards, app.clock.now_ms())
            assert (await app.get("/api/alerts/active"))["alerts"] == []
            await watcher.evaluate()
            assert len(hook.received) == 1


async def test_the_jobs_evaluate_deliver_and_delete(tmp_path: Path) -> None:
    with endpoint() as hook, endpoint() as beat:
        async with running_app(tmp_path) as app:
            settings = Settings(data_dir=tmp_path, alert_heartbeat_url=f"{beat.url}/ping/t0ken")
            database = open_database(settings.effective_database_url)
            evaluation = AlertEvaluation(settings, database, app.clock)
            stopping = asyncio.Event()
            await send_cpu(app, 0.95)
            await a_webhook(app, hook.url)
            await evaluation.run(stopping)
            names = [stored["rule"]["name"] for stored in (await app.get("/api/alerts/rules"))["rules"]]
            assert "Server down" in names
            await a_rule(app)
            app.clock.advance(10)
            await send_cpu(app, 0.95)
            await evaluation.run(stopping)
            delivery = AlertDelivery(settings, database, app.clock)
            await delivery.run(stopping)
            async with asyncio.timeout(60):
                while not hook.received:
                    await asyncio.sleep(0.01)
            await delivery.close()
            await evaluation.close()
            assert [request.path for request in beat.received] == ["/ping/t0ken"], "once a minute, not in every cycle"
            app.clock.advance(10)
            await send_cpu(app, 0.5)
            await evaluation.run(asyncio.Event())
            app.clock.advance(366 * 86_400)
            await AlertRetention(settings, database, app.clock).run(asyncio.Event())
            assert (await app.get("/api/alerts/history", start="-800d"))["alerts"] == []
            await database.close()


async def test_an_invalid_rules_file_ends_no_alerts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = tmp_path / "alerts.yml"
    bad.write_text("rules:\n- {name: a, condition: {type: server_down}, fore: 1m}\n")
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.95)
        await a_rule(app)
        settings = Settings(data_dir=tmp_path, alert_rules_file=str(bad))
        database = open_database(settings.effective_database_url)
        await AlertEvaluation(settings, database, app.clock).run(asyncio.Event())
        await database.close()
        assert len((await app.get("/api/alerts/active"))["alerts"]) == 1
    assert f"{bad}: rules[0] (a).fore" in caplog.text
