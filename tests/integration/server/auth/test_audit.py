"""The audit log: what is recorded, and for how long."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection

from bongsu.server.alerts.acknowledge import make_token
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.jobs import ROWS_PER_TRANSACTION, AuditRetention
from bongsu.server.database.tables import audit_log
from tests.support.alerting import a_rule, a_webhook, send_cpu, watching
from tests.support.app import running_app
from tests.support.endpoints import endpoint
from tests.support.jobs import count, database_of, run_jobs

DAY = 86_400


async def test_acknowledging_by_link_is_recorded_once(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with (
            running_app(tmp_path, trusted_proxies=["127.0.0.1"]) as app,
            watching(app, tmp_path) as watcher,
            httpx.AsyncClient(transport=app.client._transport, base_url="http://127.0.0.1") as phone,
        ):
            await send_cpu(app, 0.95)
            await a_rule(app)
            await a_webhook(app, hook.url)
            await watcher.evaluate()
            token = make_token(app.services.vault, 1, app.clock.now_ms())
            for _ in range(2):
                page = await phone.post(
                    "/api/alerts/acknowledge", params={"token": token}, headers={"X-Forwarded-For": "203.0.113.9"}
                )
                assert page.status_code == 200, page.text
            (entry,) = (await app.get("/api/audit", action="alert.acknowledge"))["entries"]
            assert (entry["actor"], entry["target"], entry["address"]) == ("link", "alert 1", "203.0.113.9")


@pytest.mark.parametrize(("kept", "left"), [("", 1), ("30d", 1), ("3y", 2 * ROWS_PER_TRANSACTION + 1)])
async def test_old_entries_are_deleted(tmp_path: Path, kept: str, left: int) -> None:
    async with running_app(tmp_path, admin_email="") as app:
        database = database_of(app)

        def add(connection: Connection) -> None:
            record(connection, app.clock.now_ms(), Actor("system", "tests"), "test")

        for _ in range(2 * ROWS_PER_TRANSACTION):
            await database.write(add)
        app.clock.advance(366 * DAY)
        await database.write(add)
        settings = {"retention_audit": kept} if kept else {}
        await run_jobs(app.clock, tmp_path, AuditRetention, **settings)
        assert await count(database, audit_log) == left
