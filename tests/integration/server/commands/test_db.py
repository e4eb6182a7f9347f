"""``bongsu db``: stats, check, backup, restore, copy, on a database that holds something of everything."""

import asyncio
import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from bongsu.core.samples import AgentIdentity, HostFacts
from bongsu.server.commands.db import main
from bongsu.server.database.database import open_database
from bongsu.server.database.in_use import using
from bongsu.server.database.tables import blocks, deleted_servers, frames, metadata, rollups
from bongsu.server.fleet.servers import add_server, delete_server
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS, Compactor
from bongsu.server.storage.sealer import Sealer
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.jobs import run_jobs
from tests.support.pushes import a_push, a_ramp

START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
LATER = START + SPAN_MS + GRACE_MS + STAGGER_MS


SAMPLES = ("blocks", "rollups", "frames", "layouts", "intervals", "process_lists", "tiers")


class Interrupted(Exception):
    """What a kill is to a process."""


async def fill(folder: Path) -> None:
    """Blocks, rollups, frames, a user, a token."""
    async with running_app(folder, clock=FakeClock(LATER)) as app:
        for name in ("web-1", "web-2"):
            sent = a_ramp(START, 1_000, 20_000)
            assert (await app.push(a_push(sent, name=name, interval_ms=20_000))).status_code == 200
        await run_jobs(app.clock, folder, Sealer, Compactor)
        await app.push(a_push(a_ramp(LATER - 60_000, 3, 20_000), name="web-1", interval_ms=20_000))


async def content(url: str) -> dict[str, list[Any]]:
    """Every row of every table."""
    database = open_database(url)

    def read(connection: Connection) -> dict[str, list[Any]]:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }

    try:
        return await database.read(read)
    finally:
        await database.close()


async def run(*arguments: str) -> int:
    """The command in a thread, as it runs an event loop of its own."""
    return await asyncio.to_thread(main, list(arguments))


async def test_stats_tell_what_there_is(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path)
    assert await run("stats", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    tiers = {tier["name"]: tier for tier in found["tiers"]}
    assert (tiers["frames"]["rows"], tiers["frames"]["samples"]) == (3, 9)
    assert (tiers["raw"]["rows"], tiers["raw"]["samples"]) == (2, 6_000)
    assert tiers["raw"]["oldest_ms"] == START
    assert tiers["raw"]["newest_ms"] == START + 999 * 20_000
    assert (tiers["1m"]["rows"], tiers["1m"]["samples"]) == (2, 2 * 334 * 3)
    assert (tiers["1h"]["rows"], tiers["1h"]["samples"]) == (2, 2 * 6 * 3)
    assert 0 < tiers["raw"]["bytes_per_sample"] < 8
    assert found["bytes"] > 10_000
    assert await run("stats") == 0
    text = capsys.readouterr().out
    assert "6,000" in text
    assert "2025-06-15 12:00" in text


@pytest.mark.empty_database
def test_the_database_and_its_backups_are_private(tmp_path: Path, database_url: str) -> None:
    file, backup = tmp_path / "bongsu.db", tmp_path / "backup.db"
    assert main(["upgrade", "--data-dir", str(tmp_path)]) == 0
    if database_url.startswith("sqlite"):
        file.chmod(0o644)
        assert main(["upgrade", "--data-dir", str(tmp_path)]) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert main(["backup", str(backup), "--data-dir", str(tmp_path)]) == 0
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


async def test_check_finds_nothing_where_nothing_is_wrong(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(tmp_path)
    assert await run("check") == 0
    assert capsys.readouterr().out == "No problems found.\n"


def flip(table: Any, column: str) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        mine = table.c.server_id == 1
        (data,) = connection.execute(select(table.c[column]).where(mine).limit(1)).one()
        place = len(data) // 2
        damaged = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        connection.execute(update(table).where(mine).values({column: damaged}))

    return change


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        pytest.param(flip(blocks, "data"), "server 1: the block of layout", id="a value in a block"),
        pytest.param(flip(blocks, "head"), "at 2025-06-15T12:00:00+00:00 (1749988800000) is corrupt", id="a head"),
        pytest.param(flip(rollups, "data"), "server 1: the rollup of layout", id="a rollup"),
        pytest.param(
            lambda connection: connection.execute(update(frames).values(values=b"12345678")),
            "3 frames of layout",
            id="a frame cut short",
        ),
    ],
)
async def test_check_names_what_is_damaged(
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Connection], None],
    named: str,
) -> None:
    await fill(tmp_path)
    database = open_database(database_url)
    await database.write(damage)
    await database.close()
    assert await run("check") == 1
    assert named in capsys.readouterr().out


async def test_a_backup_is_restored(
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    new_postgres_database: Callable[..., str],
) -> None:
    await fill(tmp_path)
    before = await content(database_url)
    file = tmp_path / "backup.db"
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:  # while it runs
        assert await run("backup", str(file)) == 0
        await app.push(a_push(a_ramp(LATER, 1), name="web-3"))
    assert [one.name for one in tmp_path.glob("backup.db*")] == ["backup.db"]
    stored = await content(f"sqlite:///{file}")
    for table in SAMPLES:
        assert stored[table] == before[table], table
    if database_url.startswith("postgresql"):
        monkeypatch.setenv("BONGSU_DATABASE_URL", await asyncio.to_thread(new_postgres_database, empty=True))
    import os

    url = os.environ["BONGSU_DATABASE_URL"]
    capsys.readouterr()
    assert await run("restore", str(file)) == 0
    assert "was restored" in capsys.readouterr().out
    found = await content(url)
    for table in SAMPLES:
        assert found[table] == before[table], table
    assert len(found["servers"]) == 2
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        assert len((await app.get("/api/servers"))["servers"]) == 2
        answer = await app.push(a_push(a_ramp(LATER, 1), name="web-4"))
        assert answer.status_code == 200, "new rows get new numbers"


async def test_a_database_in_use_is_not_replaced(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(tmp_path)
    file = tmp_path / "backup.db"
    assert await run("backup", str(file)) == 0
    if database_url.startswith("postgresql"):
        # A database server is not replaced as a file is: what is in it stays, and is in the way.
        before = await content(database_url)
        database = open_database(database_url)
        late = {"server_id": 9, "layout_id": 9, "time_ms": 9, "values": b""}
        await database.write(lambda connection: connection.execute(frames.insert().values(late)))
        await database.close()
        assert await run("restore", str(file)) == 2
        assert "Copy into an empty database" in capsys.readouterr().err
        assert (await content(database_url))["blocks"] == before["blocks"]
        return
    with using(tmp_path / "bongsu.db"):
        assert await run("restore", str(file)) == 2
        assert await run("copy", "--to", f"sqlite:///{tmp_path / 'other.db'}") == 2
    assert "stop Bongsu first" in capsys.readouterr().err


async def test_what_is_no_backup_is_refused(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"not a database" * 1_000)
    assert await run("restore", str(garbage)) == 2
    assert "is not a backup" in capsys.readouterr().err
    assert await run("restore", str(tmp_path / "nothing")) == 2
    await fill(tmp_path)
    file = tmp_path / "backup.db"
    assert await run("backup", str(file)) == 0
    assert await run("backup", str(file)) == 2, "a backup is not overwritten"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert await run("restore", str(file)) == 2
    assert "newer version" in capsys.readouterr().err


async def test_copy_moves_everything_and_goes_on_where_it_was_interrupted(
    database_url: str,
    tmp_path: Path,
    new_postgres_database: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await fill(tmp_path)
    before = await content(database_url)
    target = await asyncio.to_thread(new_postgres_database, empty=True)
    monkeypatch.setattr("bongsu.server.database.copy._ROWS", {"blocks": 1, "rollups": 1})
    monkeypatch.setattr("bongsu.server.database.copy._OTHER_ROWS", 2)
    from bongsu.server.database import copy

    inserted = 0
    real = copy._insert

    def interrupted(connection: Connection, *, table: Any, rows: Any) -> None:
        nonlocal inserted
        inserted += 1
        if inserted == 4:
            raise Interrupted
        real(connection, table=table, rows=rows)

    monkeypatch.setattr(copy, "_insert", interrupted)
    with pytest.raises(Interrupted):
        await run("copy", "--to", target)
    assert await run("copy", "--to", target) == 0
    assert "rows copied" in capsys.readouterr().out
    assert await content(target) == before
    assert await run("copy", "--to", target) == 0
    assert capsys.readouterr().out.startswith("0 rows copied")
    monkeypatch.setenv("BONGSU_DATABASE_URL", target)
    async with running_app(tmp_path, clock=FakeClock(LATER)) as app:
        answer = await app.push(a_push(a_ramp(LATER, 1), name="web-3"))
        assert answer.status_code == 200
        assert [one["id"] for one in (await app.get("/api/servers"))["servers"]] == [1, 2, 3]


async def test_copy_into_what_is_not_empty_is_noticed(
    database_url: str, tmp_path: Path, new_postgres_database: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(tmp_path)
    target = await asyncio.to_thread(new_postgres_database, empty=True)
    assert await run("copy", "--to", target) == 0
    database = open_database(target)
    row = {"server_id": 9, "layout_id": 9, "time_ms": 9, "values": b""}
    await database.write(lambda connection: connection.execute(frames.insert().values(row)))
    await database.close()
    assert await run("copy", "--to", target) == 2
    assert "Copy into an empty database" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_copy_gives_no_server_the_id_of_a_deleted_one(
    database_url: str, tmp_path: Path, new_postgres_database: Callable[[], str], engine: str
) -> None:
    def add(connection: Connection) -> int:
        return add_server(connection, AgentIdentity("agent-new", "new"), HostFacts(), START).id

    await fill(tmp_path)
    source = open_database(database_url)
    for server_id in (1, 2):
        await source.write(lambda connection, server_id=server_id: delete_server(connection, server_id, START))
    await source.write(lambda connection: connection.execute(deleted_servers.delete()))
    await source.close()
    target = (
        f"sqlite:///{tmp_path / 'copy.db'}" if engine == "sqlite" else await asyncio.to_thread(new_postgres_database)
    )
    assert await run("copy", "--to", target) == 0
    copied = open_database(target)
    assert await copied.write(add) == 3
    await copied.close()
