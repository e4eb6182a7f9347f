"""Every test here runs on SQLite and on a real PostgreSQL; and on a real Citus, where there is one."""

import asyncio
import shutil
from pathlib import Path

import pytest

from bongsu.server.alerts.own_watch import OwnWatch
from tests.support.citus import citus, citus_templates, citus_url, new_citus_database
from tests.support.postgres import make_tables, new_postgres_database

__all__ = ["citus", "citus_templates", "new_citus_database", "new_postgres_database"]

ENGINES = ["sqlite", "postgresql", *(["citus"] if citus_url() else [])]


@pytest.fixture(autouse=True)
def _patient_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the state of the alerts may take longer to read than people want to wait for it."""
    monkeypatch.setattr("bongsu.server.alerts.health.READ_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def _no_own_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server says that it is there, but does not look every 10 s: that is real time, and what it sends then has
    leases that end by the clock of the test, which runs ahead."""

    async def run(watch: OwnWatch) -> None:
        try:
            await watch._alerts.share.announce()
            await asyncio.Event().wait()
        finally:
            await watch._alerts.give_up()

    monkeypatch.setattr(OwnWatch, "run", run)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows."""
    path = tmp_path_factory.mktemp("template") / "bongsu.db"
    make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(params=ENGINES, autouse=True)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of the test; settings find it in the environment, as they would in a deployment. It has all tables, but
    is empty for a test that is marked ``empty_database``."""
    empty = request.node.get_closest_marker("empty_database") is not None
    if request.param != "sqlite":
        url: str = request.getfixturevalue(f"new_{'postgres' if request.param == 'postgresql' else 'citus'}_database")(
            empty=empty
        )
    else:
        file = tmp_path / "bongsu.db"
        url = f"sqlite:///{file}"
        if not empty:
            shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
            file.chmod(0o600)
    monkeypatch.setenv("BONGSU_DATABASE_URL", url)
    return url
