"""Background jobs, one file each, and the one list of them."""

from bongsu.server.jobs.alerts import AlertDelivery, AlertEvaluation, AlertRetention
from bongsu.server.jobs.base import Job
from bongsu.server.jobs.retention import Retention
from bongsu.server.jobs.sealer import Sealer

JOBS: tuple[type[Job], ...] = (Sealer, Retention, AlertEvaluation, AlertDelivery, AlertRetention)

__all__ = ["JOBS", "Job"]
