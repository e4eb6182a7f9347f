"""Reads that wait for long never keep frames from being stored, and a busy database is said to be busy."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bongsu.core.errors import Unavailable
from bongsu.server.database import database as module
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade
from bongsu.wire import protobuf
from tests.support.app import running_app
from tests.support.faulty_proxy import FaultyProxy
from tests.support.jobs import database_of
from tests.support.pushes import a_frame, a_push

# SQLite has no slow query that can be ended, so its readers wait for this.
released = threading.Event()


def sleep(connection: Connection) -> None:
    """A slow query."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_sleep(600)"))
    else:
        released.wait(600)


async def test_frames_are_stored_while_every_reader_is_busy(tmp_path: Path) -> None:
    released.clear()
    async with running_app(tmp_path) as app:
        database = database_of(app)
        assert (await app.push(a_push([a_frame(app.clock.now_ms())]))).status_code == 200
        readers = [asyncio.create_task(database.read(sleep)) for _ in range(20)]
        for number in range(1, 6):
            answer = await app.push(a_push([a_frame(app.clock.now_ms() + number)]))
            assert answer.status_code == 200
            assert not any(reader.done() for reader in readers[:4]), "it did not wait for them"
        released.set()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def test_a_query_that_takes_too_long_and_a_full_pool_are_unavailable(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database_url.startswith("postgresql"):
        return  # SQLite has threads instead, which wait for each other
    monkeypatch.setattr(module, "POSTGRES_READ_MS", 300)
    database = open_database(database_url)
    with pytest.raises(Unavailable) as too_long:
        await database.read(sleep)
    assert too_long.value.code == "query_timeout"
    await database.close()
    monkeypatch.setattr(module, "POSTGRES_READ_MS", 60_000)
    monkeypatch.setattr(module, "POSTGRES_WAIT_SECONDS", 0.3)
    database = open_database(database_url)
    readers = [asyncio.create_task(database.read(sleep)) for _ in range(module.POSTGRES_READERS)]
    await asyncio.sleep(0)
    codes: list[str] = []
    async with asyncio.timeout(60):
        while not codes:
            try:
                await database.read(lambda connection: connection.scalar(text("SELECT 1")))
            except Unavailable as full:
                codes.append(full.code)
    assert codes == ["database_busy"]
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await database.close()


async def test_connections_that_nobody_answers_are_given_up(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-open: the database server, or a firewall on the way, has forgotten them, and tells nobody."""
    if "?host=" not in database_url:
        return  # a file; and Citus, to which the connections are the same
    name, folder = database_url.removeprefix("postgresql://postgres@/").split("?host=")
    proxy = FaultyProxy(unix_socket=f"{folder}/.s.PGSQL.5432")
    monkeypatch.setenv("BONGSU_DATABASE_URL", f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}")
    async with running_app(tmp_path) as app:
        first, second, third = (app.clock.now_ms() + number for number in range(3))
        assert (await app.push(a_push([a_frame(first)]))).status_code == 200
        monkeypatch.setattr(module, "POSTGRES_SILENT_WRITE_SECONDS", 2)
        monkeypatch.setattr(module, "POSTGRES_SILENT_READ_SECONDS", 2)
        proxy.half_open()
        refused = await app.push(a_push([a_frame(second)]))
        error = protobuf.decode_result(refused.content).error
        assert error is not None
        assert (refused.status_code, error.code) == (503, "database_away")
        assert int(refused.headers["Retry-After"]) > 0
        assert "database_away" in [problem["code"] for problem in (await app.get("/api/health"))["problems"]]

        async def answered() -> bool:
            """Each connection is found out when it is used."""
            pushed = await app.push(a_push([a_frame(second), a_frame(third)]))
            asked = {"metric": "cpu_usage_ratio", "start": first, "end": third + 1}
            read = await app.client.get("/api/metrics/history", params=asked)
            health = await app.get("/api/health")
            return pushed.status_code == read.status_code == 200 and health["status"] == "ok"

        async with asyncio.timeout(120):
            while not await answered():
                await asyncio.sleep(0.05)
        history = await app.get("/api/metrics/history", metric="cpu_usage_ratio", start=first, end=third + 1)
        assert history["series"][0]["times"] == [first, second, third]
    proxy.close()


class Proxied:
    """A database behind a proxy, and one query that sleeps there."""

    def __init__(self, database_url: str, proxy: FaultyProxy, name: str) -> None:
        self.proxy = proxy
        self.database = open_database(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}")
        self._watcher = open_database(database_url)
        self.runs = 0

    def sleep(self, connection: Connection) -> int:
        """Sleeps the first time."""
        self.runs += 1
        if self.runs == 1:
            sleep(connection)
        return int(connection.scalar(text("SELECT 42")) or 0)

    async def break_connection(self) -> None:
        """Once a query sleeps."""
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()"
        )
        async with asyncio.timeout(60):
            while not await self._watcher.read(lambda connection: connection.scalar(text(sleeping))):
                await asyncio.sleep(0.02)
        self.proxy.reset()

    async def close(self) -> None:
        await self.database.close()
        await self._watcher.close()
        self.proxy.close()


@pytest.fixture
async def proxied(database_url: str) -> AsyncIterator[Proxied]:
    if "?host=" not in database_url:
        pytest.skip("a file; and Citus, to which the connections are the same")
    name, folder = database_url.removeprefix("postgresql://postgres@/").split("?host=")
    behind = Proxied(database_url, FaultyProxy(unix_socket=f"{folder}/.s.PGSQL.5432"), name)
    yield behind
    await behind.close()


async def test_a_read_whose_connection_breaks_is_run_again(proxied: Proxied) -> None:
    query = asyncio.create_task(proxied.database.read(proxied.sleep))
    await proxied.break_connection()
    assert await query == 42
    assert proxied.runs == 2


async def test_a_write_whose_connection_breaks_is_told_as_such(proxied: Proxied) -> None:
    """And not as a node of Citus that is away, of which the driver tells by codes of the same class."""
    query = asyncio.create_task(proxied.database.write(proxied.sleep))
    await proxied.break_connection()
    with pytest.raises(Unavailable, match=r"^The database cannot be reached\.$") as error:
        await query
    assert error.value.code == "database_away"
    assert proxied.runs == 1, "whoever asked decides whether to write again"


async def test_transactions_that_wait_for_each_other_end_and_say_so(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        return  # SQLite has one writer
    database = open_database(database_url)
    await database.write(upgrade)
    await database.write(lambda connection: connection.execute(text("CREATE TABLE pairs (id int PRIMARY KEY, n int)")))
    await database.write(lambda connection: connection.execute(text("INSERT INTO pairs VALUES (1, 0), (2, 0)")))

    def both(connection: Connection, first: int, second: int) -> None:
        connection.execute(text(f"UPDATE pairs SET n = n + 1 WHERE id = {first}"))
        connection.execute(text("SELECT pg_sleep(0.5)"))
        connection.execute(text(f"UPDATE pairs SET n = n + 1 WHERE id = {second}"))

    results = await asyncio.gather(
        database.write(lambda connection: both(connection, 1, 2)),
        database.write(lambda connection: both(connection, 2, 1)),
        return_exceptions=True,
    )
    failed = [result for result in results if result is not None]
    assert len(failed) == 1
    assert isinstance(failed[0], Unavailable)
    assert failed[0].code == "database_busy"
    await database.close()


async def test_a_process_that_hangs_holds_no_lock_for_ever(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not database_url.startswith("postgresql"):
        return  # the operating system takes its locks away
    monkeypatch.setitem(module._POSTGRES_SESSION, "idle_in_transaction_session_timeout", "500ms")
    database = open_database(database_url)
    await database.write(lambda connection: connection.execute(text("CREATE TABLE counters (n int)")))
    await database.write(lambda connection: connection.execute(text("INSERT INTO counters VALUES (0)")))

    async def count() -> int:
        other = open_database(database_url)
        query = text("UPDATE counters SET n = n + 1 RETURNING n")
        try:
            return int(await other.write(lambda connection: connection.scalar(query)) or 0)
        finally:
            await other.close()

    def hangs(connection: Connection) -> None:
        connection.execute(text("UPDATE counters SET n = 100"))
        # Nothing of this process goes on, as if it had been stopped, until the other has counted.
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(asyncio.run, count()).result(60) == 1
        connection.execute(text("UPDATE counters SET n = 100"))

    with pytest.raises(Unavailable) as ended:
        await database.write(hangs)
    assert ended.value.code in ("database_busy", "database_away")
    assert await count() == 2
    await database.close()


async def test_what_sqlite_refuses_for_now_is_unavailable_to_reads_as_well(tmp_path: Path, database_url: str) -> None:
    if database_url.startswith("postgresql"):
        return

    def refused(_: Connection) -> None:
        file = tmp_path / "locked.db"
        with (
            contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as first,
            contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as second,
        ):
            first.execute("BEGIN EXCLUSIVE")
            second.execute("SELECT count(*) FROM sqlite_master")

    database = open_database(f"sqlite:///{tmp_path / 'bongsu.db'}")
    with pytest.raises(Unavailable) as busy:
        await database.read(refused)
    assert busy.value.code == "database_busy"
    # Anything else is an error of Bongsu, and stays one.
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.read(lambda connection: connection.connection.cursor().execute("SELECT * FROM nowhere"))
    await database.close()
