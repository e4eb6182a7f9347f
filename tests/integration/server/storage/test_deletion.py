"""All that is stored of a deleted server goes: of every table, nothing of others, and also if the worker is killed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from bongsu.core.samples import AgentIdentity, ContainerList, HostFacts, Process, ProcessList
from bongsu.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from bongsu.server.auth import retirement
from bongsu.server.auth.audit import Actor
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.tables import (
    alert_decisions,
    alert_notification_alerts,
    alert_notifications,
    alert_silences,
    alerts,
    deleted_servers,
    intervals,
    metadata,
    quarantined_frames,
)
from bongsu.server.deletion import SETTLED_MS, Deletion
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.containers import encode_container_lists
from bongsu.server.storage.deletion import ROWS
from bongsu.server.storage.processes import encode_lists
from bongsu.server.storage.sealer import Sealer
from tests.support.alerting import a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.endpoints import endpoint
from tests.support.jobs import count, run_jobs
from tests.support.progress import killed_at
from tests.support.pushes import LAYOUT, a_frame

START = 1_750_000_000_000 // (6 * HOUR_MS) * (6 * HOUR_MS)
NOW = START + DAY_MS
BY = Actor("system", "tests")
OF_SERVER = [table for table in metadata.sorted_tables if "server_id" in table.c and table is not deleted_servers]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Two servers with something in every table."""
    opened = open_database(database_url)
    await opened.write(upgrade)
    for number in (1, 2):
        await opened.write(
            lambda connection, number=number: add_server(
                connection, AgentIdentity(f"agent-{number}", f"web-{number}"), HostFacts(), START
            )
        )
        lists = encode_lists([ProcessList(START + index, [Process(1, "a", "b", 0.5, 1)]) for index in range(300)])
        frames = [a_frame(START + index * MINUTE_MS) for index in range(720)]
        containers = encode_container_lists([ContainerList(START + index) for index in range(300)])
        batch = Batch(number, frames, [LAYOUT], lists, container_lists=containers)
        await opened.write(lambda connection, batch=batch: store(connection, [batch], each=True))
        lost = {"server_id": number, "layout_id": LAYOUT.id, "time_ms": 5, "values": b"x", "found_ms": NOW}
        await opened.write(lambda connection, lost=lost: connection.execute(insert(quarantined_frames).values(lost)))
    await run_jobs(FakeClock(NOW), Path("unused"), Sealer, Compactor, database=opened)
    for number in (1, 2):
        waiting = [(number, NOW + index, 1, NOW, bytes(8), bytes(8)) for index in range(300)]
        fresh = Batch(
            number, [a_frame(NOW + index) for index in range(500)], parts=waiting, series=[(number, 0, b"[]")]
        )
        await opened.write(lambda connection, fresh=fresh: store(connection, [fresh]))
        await opened.write(lambda connection, number=number: add_alert(connection, number))
    yield opened
    await opened.close()


def add_alert(connection: Connection, server_id: int) -> None:
    unset: dict[str, Any] = {"no_data": False, "flapping": False, "owes": False, "escalated": 0, "decided": ""}
    alert = insert(alerts).values(
        rule_id=1, rule_name="CPU", severity="info", priority=1, server_id=server_id, server_name=f"web-{server_id}",
        series="cpu", state="firing", reason="breach", since_ms=NOW, acknowledged_by="", acknowledged_comment="", **unset
    )  # fmt: skip
    (alert_id,) = connection.execute(alert).inserted_primary_key
    decision = {"alert_id": alert_id, "time_ms": NOW, "event": "fired", "stage": "send", "outcome": "", "detail": ""}
    connection.execute(insert(alert_decisions).values(decision))
    about_both = connection.scalar(select(alert_notifications.c.id).where(alert_notifications.c.rule_name == "both"))
    for name, known in (("one", None), ("both", about_both)):
        notification = insert(alert_notifications).values(
            channel_id=1, channel_name="hook", event="fired", rule_name=name, priority=1, state="sent", created_ms=NOW,
            due_ms=NOW, attempts=1, log="[]", repeated=False, claimed_by="", delivered="[]",
        )  # fmt: skip
        notification_id = known or connection.execute(notification).inserted_primary_key[0]
        link = {"notification_id": notification_id, "alert_id": alert_id}
        connection.execute(insert(alert_notification_alerts).values(link))


async def delete(database: Database, server_id: int = 1) -> None:
    await database.write(lambda connection: retirement.delete(connection, BY, server_id, NOW))


async def rows_of(database: Database, server_id: int) -> dict[str, int]:
    return {table.name: await count(database, table, table.c.server_id == server_id) for table in OF_SERVER}


async def test_nothing_is_left_of_a_deleted_server_and_all_of_the_others(database: Database) -> None:
    before = await rows_of(database, 2)
    assert before.keys() >= {"frames", "blocks", "rollups", "layouts", "intervals", "process_lists", "alerts"}
    assert all(before.values()), "there is something in every table"
    assert await rows_of(database, 1) == before
    await delete(database)
    await run_jobs(FakeClock(NOW), Path("unused"), Deletion, database=database)
    left = await rows_of(database, 1)
    assert {name for name, number in left.items() if number} == {"alerts"}, "they are deleted last"
    await run_jobs(FakeClock(NOW + SETTLED_MS), Path("unused"), Deletion, database=database)
    assert not any((await rows_of(database, 1)).values())
    assert await rows_of(database, 2) == before
    assert await count(database, alert_decisions) == 1
    assert await count(database, alert_notifications) == 2, "that about server 2, and that about both"
    assert await count(database, alert_notification_alerts) == 2
    assert await count(database, deleted_servers) == 0


async def test_what_is_stored_meanwhile_goes_too(database: Database) -> None:
    """A transaction that began before the deletion, or a worker that was computing."""
    await delete(database)
    await run_jobs(FakeClock(NOW), Path("unused"), Deletion, database=database)
    late = {"server_id": 1, "since_ms": 5, "interval_ms": 5}
    await database.write(lambda connection: connection.execute(insert(intervals).values(late)))
    await run_jobs(FakeClock(NOW + SETTLED_MS), Path("unused"), Deletion, database=database)
    assert not any((await rows_of(database, 1)).values())


async def test_a_killed_worker_leaves_the_rest_to_the_next(database: Database) -> None:
    """Each run dies after some of its writes and commits; the last one does not."""
    await delete(database)
    before = await rows_of(database, 2)
    command = ("tests.support.maintenance", str(NOW + SETTLED_MS), "7d", Deletion.name)
    left = [sum((await rows_of(database, 1)).values())]
    for point in range(10, 600, 10):
        killed = await killed_at(point, *command)
        left.append(sum((await rows_of(database, 1)).values()))
        if not killed:
            break
    assert left == sorted(left, reverse=True), "each run goes on where the one before was killed"
    assert any(0 < rows < left[0] for rows in left), "it was killed in the middle of deleting"
    assert not any((await rows_of(database, 1)).values())
    assert await count(database, deleted_servers) == 0
    assert await rows_of(database, 2) == before


def test_every_table_of_servers_is_emptied() -> None:
    """A new table with a server id must be in the list of the job."""
    assert {table.name for table in OF_SERVER} == {table.name for table in ROWS} | {"alerts"}


async def test_alerts_of_a_retired_or_deleted_server_end(tmp_path: Path) -> None:
    """Who was told that it fires is told that this is over, and nothing of it is left."""
    with endpoint() as hook:
        async with (
            running_app(tmp_path) as app,
            watching(app, tmp_path, alert_allowed_addresses=["127.0.0.1"]) as worker,
        ):
            await a_webhook(app, hook.url)
            await a_rule(app)
            await a_rule(app, name="down", condition={"type": "server_down"})
            await make(
                app, "silences", {"scope": {"servers": [1]}, "ends_ms": app.clock.now_ms() + DAY_MS, "rules": ["x"]}
            )
            await make(
                app, "silences", {"scope": {"servers": [1, 2]}, "ends_ms": app.clock.now_ms() + DAY_MS, "rules": ["x"]}
            )
            for name in ("web-1", "web-2"):
                await send_cpu(app, 0.5, name=name)
            await worker.evaluate()
            app.clock.advance(10)
            for name in ("web-1", "web-2"):
                await send_cpu(app, 0.95, name=name)
            await worker.evaluate()
            fired = {alert["server_id"] for alert in (await app.get("/api/alerts/active", state="firing"))["alerts"]}
            assert fired == {1, 2}
            assert (await app.client.delete("/api/servers/1")).status_code == 204
            assert (await app.client.post("/api/servers/2/retire")).status_code == 200
            assert [alert["server_id"] for alert in (await app.get("/api/alerts/active"))["alerts"]] == [2]
            assert [
                alert["server_id"]
                for alert in (await app.get("/api/alerts/history", end=app.clock.now_ms() + 1))["alerts"]
            ] == [2]
            assert (await app.client.get("/api/alerts/1")).status_code == 404
            for _ in range(12):
                app.clock.advance(60)
                await worker.evaluate()
            assert (await app.get("/api/alerts/active"))["alerts"] == []
            events = [part.json["event"] for part in hook.received]
            assert events == sorted(events)
            assert set(events) == {"fired", "resolved"}
            await run_jobs(app.clock, tmp_path, Deletion)
            database = app.services.database
            assert await count(database, alerts, alerts.c.server_id == 1) == 0
            assert await count(database, alerts, alerts.c.server_id == 2) == 1
            assert await count(database, alert_silences) == 1, "the other one names a server that exists"
