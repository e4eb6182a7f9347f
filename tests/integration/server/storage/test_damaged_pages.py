"""A damaged page of the SQLite file costs what it held: the API server starts, stores, reads the rest, and tells."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from bongsu.server.storage.sealer import MAX_AGE_MS, STAGGER_MS, Sealer
from bongsu.wire import protobuf
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.jobs import run_jobs
from tests.support.pushes import a_frame, a_push, a_ramp

SERVERS = 4
FRAMES = 200
START = 1_750_000_000_000
HOUR_MS = 3_600_000


def pages(file: Path, table: str) -> list[int]:
    """The pages of the rows of a table, in the order of the file."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno"
        return [row[0] for row in database.execute(query, (table,))]


def overwrite(file: Path, page: int) -> None:
    """What a disk may do to a page."""
    with file.open("r+b") as stream:
        stream.seek((page - 1) * 4_096)
        stream.write(os.urandom(4_096))


@pytest.mark.parametrize(
    ("table", "sealed"), [pytest.param("frames", False, id="frames"), pytest.param("blocks", True, id="blocks")]
)
async def test_the_rest_goes_on(database_url: str, tmp_path: Path, table: str, sealed: bool) -> None:
    if database_url.startswith("postgresql"):
        return  # has pages of its own
    clock = FakeClock(START)
    names = [f"web-{number}" for number in range(SERVERS)]
    async with running_app(tmp_path, clock=clock) as app:
        for name in names:
            assert (await app.push(a_push(a_ramp(START - FRAMES * 1_000, FRAMES, step_ms=1_000), name=name))).is_success
        tokens = app.tokens
    if sealed:
        clock.advance((MAX_AGE_MS + STAGGER_MS) / 1_000 + 1)
        await run_jobs(clock, tmp_path, Sealer)
    file = tmp_path / "bongsu.db"
    damaged = pages(file, table)
    overwrite(file, damaged[len(damaged) // 2])
    async with running_app(tmp_path, clock=clock) as app:
        app.tokens |= tokens
        # What was stored before, and does not touch the page.
        seen = []
        for number in range(1, SERVERS + 1):
            asked = {"server": number, "metric": "memory_used_bytes", "start": START - HOUR_MS, "end": START}
            answer = await app.client.get("/api/metrics/history", params=asked)
            if answer.status_code == 200:
                seen.append(len(answer.json()["series"][0]["times"]))
            else:
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_damaged")
                assert int(answer.headers["Retry-After"]) > 0
        if table == "frames":
            assert 0 < len(seen) < SERVERS, "some servers have frames on the page, and only they are not answered"
        # What comes from now on.
        for number, name in enumerate(names, 1):
            pushed = await app.push(a_push([a_frame(clock.now_ms(), (0.5, float(number), 1.0))], name=name))
            assert protobuf.decode_result(pushed.content).accepted == 1
            current = await app.get("/api/metrics/current", server=number, metric="memory_used_bytes")
            assert current["servers"][0]["series"][0]["value"] == number
        health = await app.get("/api/health")
        assert "database_damaged" in [problem["code"] for problem in health["problems"]]


async def test_a_damaged_page_stops_the_sealing_of_no_other_server(database_url: str, tmp_path: Path) -> None:
    if database_url.startswith("postgresql"):
        return
    clock = FakeClock(START)
    async with running_app(tmp_path, clock=clock) as app:
        for number in range(SERVERS):
            push = a_push(a_ramp(START - FRAMES * 1_000, FRAMES, step_ms=1_000), name=f"web-{number}")
            assert (await app.push(push)).is_success
    file = tmp_path / "bongsu.db"
    damaged = pages(file, "frames")
    overwrite(file, damaged[len(damaged) // 2])
    clock.advance((MAX_AGE_MS + STAGGER_MS) / 1_000 + 1)
    await run_jobs(clock, tmp_path, Sealer)
    with contextlib.closing(sqlite3.connect(file)) as database:
        (sealed,) = database.execute("SELECT count(DISTINCT server_id) FROM blocks").fetchone()
    assert 0 < sealed < SERVERS
