"""Runs the worker's jobs whenever a test asks for it."""

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
    """Runs jobs as the worker does: on database connections of their own."""
    chosen = Settings(data_dir=folder, **settings)
    opened = database or open_database(chosen.effective_database_url)
    for job in jobs or MAINTENANCE:
        await job(chosen, opened, clock).run(asyncio.Event())
    if database is None:
        await opened.close()


def database_of(app: RunningApp) -> Database:
    """The database of an application."""
    return app.services.database


async def count(database: Database, table: Table, *where: Any) -> int:
    """The number of rows that match."""
    query = select(func.count()).select_from(table).where(*where)
    return await database.read(lambda connection: connection.scalar(query) or 0)
