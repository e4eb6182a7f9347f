"""kill -9 while frames are sealed, rolled up, given up, copied, backed up and migrated: nothing lost, nothing twice.

Real second processes, killed again and again at points that move through what they do.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, select, text

from bongsu.core.samples import AgentIdentity, Frame, HostFacts, pack
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.migrations import current_revision, revisions, upgrade
from bongsu.server.database.tables import blocks, frames, rollups
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.archive import SPAN_MS, StoredRollup
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.blocks import Head
from bongsu.server.storage.check import check_database
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.frames import insert_frames
from bongsu.server.storage.rollup import Rollup, counters_of
from bongsu.server.storage.rollup_blocks import decode_rollup
from bongsu.server.storage.sealer import Sealer
from tests.support.clock import FakeClock
from tests.support.jobs import count, run_jobs
from tests.support.progress import killed_at, killed_on_the_way
from tests.support.pushes import LAYOUT

START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
STEP_MS = 60_000
SERVERS, SPANS = 6, 4
FRAMES = SPANS * SPAN_MS // STEP_MS
LATER_MS = START + 10 * SPAN_MS
COUNTERS = counters_of([series.kind for series in LAYOUT.series])


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    await opened.write(upgrade)
    for number in range(SERVERS):
        agent = AgentIdentity(f"agent-{number}", f"agent-{number}", "", STEP_MS)
        await opened.write(lambda connection, agent=agent: add_server(connection, agent, HostFacts(), START))
        sent = [frame_at(number, index) for index in range(FRAMES)]
        # Every 5th frame comes late, after the others of its span.
        for part in (sent, sent[::5]):
            batch = Batch(number + 1, [frame for frame in part if part is not sent or frame not in sent[::5]], [LAYOUT])
            await opened.write(lambda connection, batch=batch: store(connection, [batch], each=True))
    yield opened
    await opened.close()


def frame_at(server: int, index: int) -> Frame:
    return Frame(LAYOUT.id, START + index * STEP_MS, pack((index % 7 / 7, float(index * (server + 1)), index * 5.0)))


async def everything_is_there_once(database: Database) -> None:
    """Every frame of every server in the blocks and frames once, and in the rollups as if nothing had happened."""

    def read(connection: Connection) -> tuple[dict[int, list[int]], dict[tuple[int, int], list[StoredRollup]]]:
        times: dict[int, list[int]] = {}
        for server_id, head, checksum in connection.execute(
            select(blocks.c.server_id, blocks.c.head, blocks.c.checksum)
        ):
            times.setdefault(server_id, []).extend(Head.open(head, checksum).times.tolist())
        for server_id, time_ms in connection.execute(select(frames.c.server_id, frames.c.time_ms)):
            times.setdefault(server_id, []).append(time_ms)
        rows: dict[tuple[int, int], list[StoredRollup]] = {}
        columns = [rollups.c[name] for name in StoredRollup.__slots__]
        for row in connection.execute(select(*columns).order_by(rollups.c.start_ms)):
            rows.setdefault((row.server_id, row.step_ms), []).append(StoredRollup(*row))
        return times, rows

    times, rows = await database.read(read)
    for server_id in range(1, SERVERS + 1):
        if times:  # not given up
            assert sorted(times[server_id]) == [START + index * STEP_MS for index in range(FRAMES)]
        for step_ms in (MINUTE_MS, HOUR_MS):
            parts = [decode_rollup(row.opened(), row.data, COUNTERS) for row in rows[server_id, step_ms]]
            check_rollup(server_id, step_ms, parts)
    assert [problem async for problem in check_database(database)] == []


def check_rollup(server_id: int, step_ms: int, parts: list[Rollup]) -> None:
    each = step_ms // STEP_MS
    assert np.concatenate([part.times for part in parts]).tolist() == list(
        range(START, START + FRAMES * STEP_MS, step_ms)
    )
    assert set(np.concatenate([part.frames for part in parts]).tolist()) == {each}
    sums = np.concatenate([part.stats[0, :, 1] for part in parts])
    numbers = np.arange(FRAMES).reshape(-1, each) * server_id
    assert sums.tolist() == numbers.sum(axis=1).astype(float).tolist()


async def test_killed_while_sealing_and_rolling_up(database: Database) -> None:
    command = ("tests.support.maintenance", str(LATER_MS), "7d")
    kills = await killed_on_the_way(*command, points=range(20, 500, 20))
    assert kills >= 3, "it was killed on the way"
    assert await count(database, frames) == 0
    assert await count(database, blocks) == SERVERS * SPANS
    await everything_is_there_once(database)


async def test_killed_while_giving_up(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_jobs(FakeClock(LATER_MS), tmp_path, Sealer, Compactor, database=database)
    # One block a transaction, so that there are moments between them to be killed at.
    monkeypatch.setenv("BONGSU_TEST_ROWS", "1")
    left: list[int] = []
    for point in range(10, 500, 10):
        killed = await killed_at(point, "tests.support.maintenance", str(LATER_MS), "1h")
        left.append(await count(database, blocks))
        if not killed:
            break
    assert any(0 < blocks_left < SERVERS * SPANS for blocks_left in left), "it was killed in the middle of deleting"
    assert left[-1] == 0
    await everything_is_there_once(database)


async def test_two_workers_at_once_do_each_thing_once(database: Database, tmp_path: Path) -> None:
    others = [open_database(os.environ["BONGSU_DATABASE_URL"]) for _ in range(2)]
    await asyncio.gather(
        *(run_jobs(FakeClock(LATER_MS), tmp_path, Sealer, Compactor, database=other) for other in others)
    )
    for other in others:
        await other.close()
    await run_jobs(FakeClock(LATER_MS), tmp_path, Sealer, Compactor, database=database)
    assert await count(database, blocks) == SERVERS * SPANS
    await everything_is_there_once(database)


@pytest.mark.empty_database
async def test_killed_while_migrating(database_url: str) -> None:
    database = open_database(database_url)
    kills = 0
    for point in (1, 2, 5, 13, 34, 55, 1_000):
        if not await killed_at(point, "bongsu.cli", "db", "upgrade"):
            break
        kills += 1
        assert await database.read(current_revision) is None, "all of it or nothing"
    assert kills >= 5
    assert await database.read(current_revision) == revisions()[-1]
    await database.close()


async def test_killed_while_backing_up(database: Database, tmp_path: Path) -> None:
    await run_jobs(FakeClock(LATER_MS), tmp_path, Sealer, Compactor, database=database)
    file = tmp_path / "backup.db"
    kills = 0
    for point in (1, 2, 5, 21, 55, 144, 10_000):
        if file.exists():
            break  # killed when the file was already whole, which is seen below
        if not await killed_at(point, "bongsu.cli", "db", "backup", str(file)):
            break
        kills += 1
    assert kills >= 3
    other = open_database(f"sqlite:///{file}")
    await everything_is_there_once(other)
    await other.close()


async def test_killed_while_copying(database: Database, database_url: str, tmp_path: Path) -> None:
    await run_jobs(FakeClock(LATER_MS), tmp_path, Sealer, Compactor, database=database)
    target = f"sqlite:///{tmp_path / 'copy.db'}"
    command = ("bongsu.cli", "db", "copy", "--from", database_url, "--to", target)
    # The first point after the tables are made is some hundred statements in; then each start copies a little further.
    kills = 0
    for point in (1, 20, 40, 60, 80, 5, 6, 8, 10_000):
        if not await killed_at(point, *command):
            break
        kills += 1
    assert kills >= 5
    other = open_database(target)
    await everything_is_there_once(other)
    await other.close()


@pytest.mark.empty_database
@pytest.mark.parametrize("revision", revisions())
async def test_every_revision_is_upgraded_with_what_it_holds(database_url: str, revision: str) -> None:
    """A database as that version left it: with a server, frames, and, from 0002 on, a block of the form of its time."""
    database = open_database(database_url)

    def old(connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config

        from bongsu.server.database import migrations

        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        from bongsu.server.storage.layouts import encode_series

        facts = dict.fromkeys(("hostname", "os", "kernel", "architecture", "cpu_model", "agent_version"), "")
        numbers = dict.fromkeys(("cpu_count", "memory_total_bytes", "boot_time_ms"), 0)
        row = {"id": 1, "agent_id": "a" * 8, "name": "a", "first_seen_ms": START, "last_seen_ms": START}
        row |= {"interval_ms": STEP_MS, **facts, **numbers}
        names = ", ".join(row)
        connection.execute(text(f"INSERT INTO servers ({names}) VALUES ({', '.join(':' + name for name in row)})"), row)
        layout = {"server_id": 1, "layout_id": LAYOUT.id, "series": encode_series(LAYOUT.series)}
        connection.execute(text("INSERT INTO layouts VALUES (:server_id, :layout_id, :series)"), layout)
        unsealed = [frame_at(0, index) for index in range(100, 110)]
        insert_frames(connection, [(1, LAYOUT.id, frame.time_ms, frame.values) for frame in unsealed])
        if "0002" <= revision < "0005":
            sealed = old_block([frame_at(0, index) for index in range(100)])
            sealed |= {"server_id": 1, "layout_id": LAYOUT.id, "checksum": 0}
            columns = "server_id, layout_id, start_ms, end_ms, frames, checksum, data"
            values = ", ".join(":" + name for name in columns.split(", "))
            connection.execute(text(f"INSERT INTO blocks ({columns}) VALUES ({values})"), sealed)

    await database.write(old)
    assert (await database.write(upgrade)) == (revision, revisions()[-1])
    first = 0 if "0002" <= revision < "0005" else 100
    stored = await database.read(
        lambda connection: connection.execute(
            select(frames.c.time_ms, frames.c["values"]).order_by(frames.c.time_ms)
        ).all()
    )
    expected = [frame_at(0, index) for index in range(first, 110)]
    assert [(row[0], bytes(row[1])) for row in stored] == [(frame.time_ms, frame.values) for frame in expected]
    await database.close()


def old_block(sealed: list[Frame]) -> dict[str, object]:
    """A block as revisions 0002 to 0004 had it: "B1", the head within the data."""
    import struct

    from pcodec import ChunkConfig, standalone

    times = np.array([frame.time_ms for frame in sealed], np.int64)
    values = np.frombuffer(b"".join(frame.values for frame in sealed), "<f8").reshape(len(sealed), -1)
    parts = []
    for number, column in enumerate(values.T):
        packed = standalone.simple_compress(np.ascontiguousarray(column), ChunkConfig(compression_level=8))
        whole = standalone.simple_compress(column.astype(np.int64), ChunkConfig(compression_level=8))
        parts.append(b"\x01" + packed if number == 0 else b"\x02" + whole)
    ends = np.cumsum([len(part) for part in parts], dtype="<u4").tobytes()
    packed_times = standalone.simple_compress(times, ChunkConfig(compression_level=8))
    head = struct.pack("<2sIII", b"B1", len(times), len(parts), len(packed_times))
    data = b"".join((head, packed_times, ends, *parts))
    return {"start_ms": int(times[0]), "end_ms": int(times[-1]), "frames": len(times), "data": data}
