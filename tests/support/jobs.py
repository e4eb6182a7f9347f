"""The worker's jobs, run when a test says."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select

from bongsu.server.config import Settings
from bongsu.server.database.database import Database, open_database
from bongsu.server.job import Job
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer
from tests.support.app import RunningApp
from tests.support.clock import FakeClock

MAINTENANCE: tuple[type[Job], ...] = (Sealer, Compactor, Retention)


async def run_jobs(
    clock: FakeClock, folder: Path, *jobs: type[Job], database: Database | None = None, **settings: Any
) -> None:
    """Runs jobs as the worker would: on database connections of their own."""
    made = Settings(data_dir=folder, **settings)
    opened = database or open_database(made.effective_database_url)
    for job in jobs or MAINTENANCE:
        await job(made, opened, clock).run(asyncio.Event())
    if database is None:
        await opened.close()


def database_of(app: RunningApp) -> Database:
    """The database behind an application."""
    return app.services.database


async def count(database: Database, table: Table, *where: Any) -> int:
    """How many rows there are."""
    query = select(func.count()).select_from(table).where(*where)
    return await database.read(lambda connection: connection.scalar(query) or 0)
