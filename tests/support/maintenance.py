"""The worker's maintenance as a program: ``python -m tests.support.maintenance NOW_MS RETENTION_RAW [JOB ...]``.

Runs each job (by its name; of storage, if none is named) once at a fixed time, on the database of BONGSU_DATABASE_URL.
"""

import asyncio
import os
import sys
from pathlib import Path

from bongsu.server.config import Settings
from bongsu.server.database.database import open_database
from bongsu.server.storage import retention
from bongsu.server.worker import JOBS
from tests.support.clock import FakeClock
from tests.support.jobs import run_jobs


async def main(now_ms: int, retention_raw: str, *names: str) -> None:
    database = open_database(Settings().effective_database_url)
    retention.ROWS_PER_TRANSACTION = int(os.environ.get("BONGSU_TEST_ROWS", retention.ROWS_PER_TRANSACTION))
    jobs = [job for job in JOBS if job.name in names]
    await run_jobs(FakeClock(now_ms), Path("unused"), *jobs, database=database, retention_raw=retention_raw)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
