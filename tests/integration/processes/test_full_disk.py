"""A full disk is a state that the API server reports and recovers from by itself."""

from pathlib import Path

from sqlalchemy import Connection

from bongsu.wire import protobuf
from tests.support.app import running_app
from tests.support.pushes import a_frame, a_push, a_ramp

NOW = 1_750_000_000_000


def pages(connection: Connection, limit: str) -> None:
    """SQLite's own limit: what it answers is what it answers when the file system is full (SQLITE_FULL)."""
    connection.exec_driver_sql(f"PRAGMA max_page_count = {limit}")


async def test_a_full_disk_is_said_and_over_when_there_is_room(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        assert (await app.push(a_push([a_frame(NOW)]))).status_code == 200
        database = app.application.api.state.services.database
        await database.write(lambda connection: pages(connection, "1"))  # 1: no more than there are
        app.clock.advance(100)
        refused = await app.push(a_push(a_ramp(NOW + 1, 1_000, step_ms=1)))
        error = protobuf.decode_result(refused.content).error
        assert error is not None
        assert (refused.status_code, error.code) == (503, "disk_full")
        assert int(refused.headers["Retry-After"]) > 0
        health = await app.get("/api/health")
        assert health["status"] == "degraded"
        assert [(one["code"], one["since_ms"]) for one in health["problems"]] == [("disk_full", app.clock.now_ms())]
        history = await app.get("/api/metrics/history", metric="memory_used_bytes", start=NOW - 1_000)
        assert history["series"][0]["times"] == [NOW], "nothing of the refused request is stored, and reading goes on"

        await database.write(lambda connection: pages(connection, "1000000"))
        again = await app.push(a_push(a_ramp(NOW + 1, 1_000, step_ms=1)))
        assert protobuf.decode_result(again.content).accepted == 1_000
        assert (await app.get("/api/health"))["status"] == "ok"
