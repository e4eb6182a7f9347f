"""The worker: looks after what is stored and evaluates alerts, in its own process so that ingest never waits for it."""

import asyncio
import logging

from bongsu.core.clock import Clock, SystemClock
from bongsu.server.alerts.jobs import AlertDelivery, AlertEvaluation, AlertRetention
from bongsu.server.config import Settings
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.in_use import using_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.job import Job
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer

logger = logging.getLogger(__name__)

# A new job is a file beside its subject and an entry here.
JOBS: tuple[type[Job], ...] = (Sealer, Compactor, Retention, AlertEvaluation, AlertDelivery, AlertRetention)


class Worker:
    """Runs the jobs beside each other, each every ``every_seconds``."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stops after the current step of each job."""
        self._stopping.set()

    async def run(self) -> None:
        """Runs until ``stop``."""
        database = open_database(self._settings.effective_database_url)
        with using_database(database):
            await self._work(database)

    async def _work(self, database: Database) -> None:
        await database.write(upgrade)
        jobs = [job(self._settings, database, self._clock) for job in JOBS]
        try:
            await asyncio.gather(*(self._repeat(job, database) for job in jobs))
        finally:
            await database.close()

    async def _repeat(self, job: Job, database: Database) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                await job.run(self._stopping)
                if failing:
                    logger.info("%s works again", job.name)
                failing = False
            except Exception:
                # Logged once, not at every try: a full disk stays full for hours.
                if not failing:
                    logger.exception("%s failed; trying again every %s s", job.name, job.every_seconds)
                failing = True
            await wait(self._stopping, job.every_seconds)
        await job.close()


async def wait(stopping: asyncio.Event, seconds: float) -> None:
    """Waits for some seconds, or until the worker stops."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
