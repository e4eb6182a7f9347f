"""Background jobs, one file each, and the one list of them."""

from bongsu.server.jobs.base import Job
from bongsu.server.jobs.retention import Retention

JOBS: tuple[type[Job], ...] = (Retention,)

__all__ = ["JOBS", "Job"]
