"""The database behind a URL: one way to read and one way to write for every engine.

Storage functions take a synchronous ``Connection``. On SQLite they run in threads, all writes in the same one; on
PostgreSQL they run on the event loop over asyncpg (SQLAlchemy's ``run_sync``). So every query is written once.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from bongsu.core.errors import ConfigError, Damaged, Unavailable
from bongsu.server.config import not_writable
from bongsu.server.database.dialect import begin_everywhere

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

logger = logging.getLogger(__name__)

# How long a write waits for another process's transaction. The worker keeps its own under 10 ms.
BUSY_TIMEOUT_MS = 15_000
# Three frames of 150 values fit on a page. Each server's frames have their own index page, so a commit of 24 frames
# logs some 24 of them: 31 us of CPU for each frame, where pages of 8 KB take 42 and of 16 KB 43.
PAGE_SIZE_BYTES = 4_096
# 32 MB of log between checkpoints; with 8 MB the same hot pages are written again and again (37 us for each frame).
WAL_AUTOCHECKPOINT_PAGES = 8_000
# The log file is truncated to this size after a burst, so that it does not stay at its largest.
JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024
READ_CACHE_KIB = 16_384
READ_THREADS = 4
# Reads and writes have connections of their own, so that no number of slow queries keeps frames from being stored.
POSTGRES_READERS = 8
POSTGRES_WRITERS = 4
# How long a request waits for one of them, and a query for its answer: the largest allowed takes some seconds.
POSTGRES_WAIT_SECONDS = 10
POSTGRES_READ_MS = 60_000
# A connection that a firewall has forgotten never answers. Queries end by themselves before; a transaction that writes
# takes tens of milliseconds, or seconds behind a lock.
POSTGRES_SILENT_READ_SECONDS = 90
POSTGRES_SILENT_WRITE_SECONDS = 30
# A process that hangs, or whose machine is gone, must not hold locks that all others wait for: PostgreSQL ends its
# transaction. No transaction waits for Python that long.
_POSTGRES_SESSION = {
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Citus: one connection to each node. More of them would each see another state of its tables within a transaction
    # that reads, and commit apart in one that writes: 3 ms of CPU for each frame instead of 0.1.
    "citus.max_adaptive_executor_pool_size": "1",
}


class Reader(Protocol):
    """Runs storage functions that only read."""

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Runs ``function`` on a connection that sees one consistent state of the database. If the connection breaks,
        it is run again, once."""


class Database(Reader, Protocol):
    """Runs storage functions, each in its own transaction."""

    dialect: str
    # Whether anything that is stored could not be read since the start, because its place in the file is damaged.
    damaged: bool

    def snapshot(self) -> AbstractAsyncContextManager[Reader]:
        """A reader that sees the same state of the database as long as it is open."""

    async def write(self, function: Callable[[Connection], T], *, patient: bool = False) -> T:
        """Runs ``function`` and commits; when this returns, the change is on disk. ``patient``: it may take any time.

        Raises:
            Unavailable: the disk is full, or the database cannot be reached. Nothing has changed, unless the database
                server is silent: then nobody knows.
            Damaged: what this change needs cannot be read. Nothing has changed; other changes may be possible.
        """

    def version(self) -> int | None:
        """Changes with every commit, of whichever process: while it stays the same, reading again is in vain. Takes
        microseconds, on the event loop. None: this database does not tell."""

    async def close(self) -> None:
        """Closes all connections."""


class Glance:
    """Spares pollers a read while nothing was committed: it wakes two threads and takes 0.8 ms in an idle process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: int | None = None

    async def read(self, function: Callable[[Connection], T]) -> T | None:
        """What ``function`` reads; None if it would read the same as the last time."""
        version = self._database.version()
        if version is not None and version == self._seen:
            return None
        result = await self._database.read(function)
        # Only now: what could not be read is read the next time.
        self._seen = version
        return result

    def forget(self) -> None:
        """The next call reads in any case: what it returns depends on the time too."""
        self._seen = None


def open_database(url: str) -> Database:
    """The database behind a SQLAlchemy URL: ``sqlite:///path`` or ``postgresql://...``, which may be Citus.

    Raises:
        ConfigError: not a URL, an engine that is not supported, or no directory for the file.
    """
    try:
        parsed = make_url(url)
    except Exception:
        raise ConfigError("The database URL cannot be read.", field="database_url") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database:
            raise ConfigError("The database URL names no file: sqlite:///path/to/bongsu.db", field="database_url")
        return SqliteDatabase(Path(parsed.database))
    if backend == "postgresql":
        return PostgresDatabase(url)
    raise ConfigError(f"{backend} is not supported: use sqlite or postgresql.", field="database_url")


def make_private(path: Path) -> None:
    """Makes sure that the file exists and that only its owner can read it: it holds hashes of passwords and tokens.

    SQLite gives its other files the mode of the database.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Never open the database itself here: closing it would drop the locks that SQLite holds in this process.
        with contextlib.suppress(OSError):  # owned by somebody else, who decides
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)


def sqlite_engine(path: Path, *, writer: bool) -> Engine:
    """An engine on a SQLite file. A writer takes the write lock when a transaction begins, not at its first write; a
    reader begins its transactions itself."""
    engine = create_engine(
        f"sqlite:///{path}",
        # Readers keep their connections themselves.
        **({"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0} if writer else {"poolclass": NullPool}),
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "do_connect")
    def _protect(*_: object) -> None:
        make_private(path)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions begin below, not by the driver's rules.
        connection.isolation_level = None
        pragmas = [
            f"page_size = {PAGE_SIZE_BYTES}",
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            # An acknowledged frame survives a power cut. Group commit makes it cheap.
            "synchronous = FULL",
            "foreign_keys = ON",
            f"wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES}",
            f"journal_size_limit = {JOURNAL_SIZE_LIMIT_BYTES}",
            f"cache_size = -{READ_CACHE_KIB}",
            "temp_store = MEMORY",
        ]
        if not writer:
            pragmas.append("query_only = ON")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    if writer:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _as_unavailable(error: DBAPIError | sqlite3.Error) -> Unavailable | None:
    """The error for a caller, if the cause of a failed write is outside of Bongsu and may pass; else None."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            return Unavailable("The disk is full.", code="disk_full", retry_after_seconds=30)
        if name.startswith("SQLITE_IOERR"):
            # On some file systems a full disk shows as a failed write or sync.
            return Unavailable(f"The disk does not work ({name}).", code="disk_error", retry_after_seconds=30)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Unavailable("The database is busy.", code="database_busy", retry_after_seconds=2)
        return None
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate == "53100":
        return Unavailable("The database server's disk is full.", code="disk_full", retry_after_seconds=30)
    if sqlstate in ("40P01", "40001"):  # two transactions waited for each other, and this one was ended
        return Unavailable("The database is busy.", code="database_busy", retry_after_seconds=2)
    if sqlstate == "25P03":
        return Unavailable("The transaction stood still for too long.", code="database_busy", retry_after_seconds=1)
    if sqlstate == "57014":
        return Unavailable("The query takes too long.", code="query_timeout", retry_after_seconds=30)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Unavailable("The database cannot be reached.", code="database_away", retry_after_seconds=5)
    if sqlstate is not None and sqlstate.startswith("08"):  # told by the coordinator of Citus, which can be reached
        return Unavailable("A node of the database cannot be reached.", code="database_away", retry_after_seconds=5)
    return None


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite met a damaged page. Other pages can still be read, also in the same transaction."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


@contextlib.contextmanager
def _passing() -> Iterator[None]:
    """Turns errors whose cause may pass into Unavailable, and those of damaged pages into Damaged."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:  # hot paths use the driver's own cursor
        if is_damage(error):
            raise Damaged from error
        unavailable = _as_unavailable(error)
        if unavailable is None:
            raise
        raise unavailable from error


class _Snapshot:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, function: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(function, self._connection)


class _AsyncSnapshot:
    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    async def read(self, function: Callable[[Connection], T]) -> T:
        return await self._connection.run_sync(function)


class SqliteDatabase:
    """A SQLite file in WAL mode: one writer connection in its own thread, and several readers."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise not_writable(path.parent, error) from None
        self._writer = sqlite_engine(path, writer=True)
        self._reader = sqlite_engine(path, writer=False)
        for engine in (self._writer, self._reader):
            # Also of statements whose caller can do without an answer.
            event.listen(engine, "handle_error", self._failed)
        self._write_thread = ThreadPoolExecutor(1, "bongsu-write")
        self._read_threads = ThreadPoolExecutor(READ_THREADS, "bongsu-read")
        # Connections that nobody reads with, the last used one last: it has the page in its cache, so the others are
        # opened only if they are needed. A pool of SQLAlchemy and its transactions take 0.3 ms a read, BEGIN 0.02.
        self._idle: list[Connection] = []
        self._glancing: sqlite3.Connection | None = None

    async def read(self, function: Callable[[Connection], T]) -> T:
        return await self._run(self._read_threads, self.read_now, function)

    async def write(self, function: Callable[[Connection], T], *, patient: bool = False) -> T:
        return await self._run(self._write_thread, self.write_now, function)

    async def _run(
        self,
        threads: ThreadPoolExecutor,
        run: Callable[[Callable[[Connection], T]], T],
        function: Callable[[Connection], T],
    ) -> T:
        # The thread knows which request it works for, for its log and traces: 0.2 us.
        return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, run, function)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        with self._reader.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            # The snapshot begins now, not at the first read.
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
            yield _Snapshot(connection)

    def read_now(self, function: Callable[[Connection], T]) -> T:
        """``read`` for callers that run in a thread."""
        with self._telling(), _passing():
            connection = self._ready()
            try:
                # SQLAlchemy is only told: its own statement would take ten times as long.
                connection.begin()
                driver: Any = connection.connection.driver_connection
                driver.execute("BEGIN")
                return function(connection)
            finally:
                # Not committed: after a damaged page, SQLite refuses the commit of what was read elsewhere.
                try:
                    connection.rollback()
                except BaseException:
                    connection.close()
                    raise
                self._idle.append(connection)

    def _ready(self) -> Connection:
        with contextlib.suppress(IndexError):  # threads take at the same time
            return self._idle.pop()
        return self._reader.connect()

    def write_now(self, function: Callable[[Connection], T]) -> T:
        """``write`` for callers that run in a thread."""
        with self._telling(), _passing(), self._writer.begin() as connection:
            return function(connection)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Notes damage that statements of the driver's own cursor meet."""
        try:
            yield
        except Damaged as error:
            self._note_damage(error)
            raise

    def _failed(self, context: ExceptionContext) -> None:
        if is_damage(context.original_exception):
            self._note_damage(context.original_exception)

    def _note_damage(self, error: BaseException) -> None:
        # A file that is no database at all is told by who opens it.
        if not self.damaged and "file is not a database" not in str(error.__cause__ or error):
            logger.error("a part of %s is damaged", self.path, exc_info=error)
        self.damaged = True

    def version(self) -> int | None:
        try:
            if self._glancing is None:
                self._glancing = sqlite3.connect(self.path, timeout=0, check_same_thread=False)
            # Compares a counter in shared memory: 7 us.
            return int(self._glancing.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None  # the read that follows reports it

    async def close(self) -> None:
        self._write_thread.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self._writer.dispose()
        for connection in self._idle:
            connection.close()
        self._reader.dispose()
        if self._glancing is not None:
            self._glancing.close()


class PostgresDatabase:
    """PostgreSQL (or Citus) over asyncpg."""

    dialect = "postgresql"
    # The database server finds out and logs what is damaged.
    damaged = False

    def __init__(self, url: str) -> None:
        # Imports the whole ORM, a fifth of the start-up time, which SQLite does not need.
        from sqlalchemy.ext.asyncio import create_async_engine

        parsed = make_url(url).set(drivername="postgresql+asyncpg")
        options: dict[str, Any] = {
            "max_overflow": 0,
            "pool_pre_ping": True,
            "pool_timeout": POSTGRES_WAIT_SECONDS,
        }
        writing = {"server_settings": _POSTGRES_SESSION}
        self._writer = create_async_engine(parsed, pool_size=POSTGRES_WRITERS, connect_args=writing, **options)
        reading = {"server_settings": _POSTGRES_SESSION | {"statement_timeout": str(POSTGRES_READ_MS)}}
        self._reader = create_async_engine(parsed, pool_size=POSTGRES_READERS, connect_args=reading, **options)

    async def read(self, function: Callable[[Connection], T]) -> T:
        with _unavailable():
            async with asyncio.timeout(POSTGRES_SILENT_READ_SECONDS):
                try:
                    return await self._read_once(function)
                except DBAPIError as error:
                    # A restart or fail-over of the database server ends transactions, as does standing still for long.
                    if not error.connection_invalidated:
                        raise
                    logger.warning("a connection to the database broke, so this is read again: %s", error.orig)
                    return await self._read_once(function)

    async def _read_once(self, function: Callable[[Connection], T]) -> T:
        async with self._reader.connect() as connection:
            return await (await self._read_only(connection)).run_sync(function)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        # A backup or copy takes as long as it takes, and runs in a process of its own.
        async with self._writer.connect() as connection:
            connection = await self._read_only(connection)
            await connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.exec_driver_sql("SELECT 1")
            await connection.run_sync(begin_everywhere)
            yield _AsyncSnapshot(connection)

    async def write(self, function: Callable[[Connection], T], *, patient: bool = False) -> T:
        limit = None if patient else POSTGRES_SILENT_WRITE_SECONDS
        with _unavailable():
            async with asyncio.timeout(limit), self._writer.begin() as connection:
                return await connection.run_sync(function)

    def version(self) -> int | None:
        return None

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()

    async def _read_only(self, connection: "AsyncConnection") -> "AsyncConnection":
        return await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    """The same for a database server, which may also be away."""
    try:
        with _passing():
            yield
    except PoolTimeout as error:
        raise Unavailable("The database is busy.", code="database_busy", retry_after_seconds=2) from error
    except OSError as error:
        raise Unavailable("The database cannot be reached.", code="database_away") from error
