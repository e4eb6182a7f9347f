"""The worker: looks after what is stored and evaluates alerts, in its own process so that ingest never waits for it."""

import asyncio
import logging
from dataclasses import dataclass

from bongsu.core.clock import Clock, SystemClock
from bongsu.core.units import HOUR_MS
from bongsu.server.alerts.jobs import AlertDelivery, AlertEvaluation, AlertRetention
from bongsu.server.alerts.own_watch import ApiWatch
from bongsu.server.auth.jobs import AuditRetention
from bongsu.server.config import Settings
from bongsu.server.dashboards.files import DashboardFiles
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.in_use import using_database
from bongsu.server.database.job_runs import TELL_SECONDS, JobRun, store_job_runs
from bongsu.server.database.migrations import open_and_upgrade
from bongsu.server.deletion import Deletion
from bongsu.server.job import Job
from bongsu.server.storage.assembler import Assembler
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.layout_retention import LayoutRetention
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer

logger = logging.getLogger(__name__)

# A new job is a file beside its subject and an entry here.
JOBS: tuple[type[Job], ...] = (
    Assembler,
    Sealer,
    Compactor,
    Retention,
    LayoutRetention,
    Deletion,
    AlertEvaluation,
    AlertDelivery,
    AlertRetention,
    ApiWatch,
    AuditRetention,
    DashboardFiles,
)


# A run that takes longer than this has lost its way; the longest are compactions after weeks without a worker.
LONGEST_RUN_MS = HOUR_MS
EXAMPLES = 3


@dataclass(slots=True)
class Running:
    """A job, and how it fares."""

    job: Job
    good_ms: int = 0
    due_ms: int = 0
    error: str = ""

    def run(self, now_ms: int) -> JobRun:
        """What the API server shows of it."""
        failures = self.job.failures.oldest_first()
        examples = "; ".join(f"{failure.what}: {failure.reason}" for failure in failures[:EXAMPLES])
        since_ms = failures[0].since_ms if failures else 0
        return JobRun(self.job.name, now_ms, self.good_ms, self.due_ms, self.error, len(failures), since_ms, examples)


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
        await open_and_upgrade(database, self._settings.effective_database_url)
        jobs = [Running(job(self._settings, database, self._clock)) for job in JOBS]
        telling = asyncio.create_task(self._tell(jobs, database), name="job runs")
        try:
            await asyncio.gather(*(self._repeat(running) for running in jobs))
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await database.close()

    async def _repeat(self, running: Running) -> None:
        job = running.job
        while not self._stopping.is_set():
            running.due_ms = self._clock.now_ms() + LONGEST_RUN_MS
            try:
                await job.run(self._stopping)
                if running.error:
                    logger.info("%s works again", job.name)
                running.error = ""
                running.good_ms = self._clock.now_ms()
            except Exception as error:
                # Logged once, not at every try: a full disk stays full for hours.
                if not running.error:
                    logger.exception("%s failed; trying again every %s s", job.name, job.every_seconds)
                running.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            running.due_ms = self._clock.now_ms() + round(job.every_seconds * 1000) + LONGEST_RUN_MS
            job.failures.forget_older()
            await wait(self._stopping, job.every_seconds)
        await job.close()

    async def _tell(self, jobs: list[Running], database: Database) -> None:
        """Writes how the jobs fare, until cancelled."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            now_ms = self._clock.now_ms()
            runs = [running.run(now_ms) for running in jobs]
            try:
                await database.write(lambda connection, runs=runs: store_job_runs(connection, runs))  # type: ignore[misc]
            except Exception:  # the jobs tell the same; the API server shows that the worker is silent
                logger.debug("job runs not stored", exc_info=True)


async def wait(stopping: asyncio.Event, seconds: float) -> None:
    """Waits for some seconds, or until the worker stops."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
