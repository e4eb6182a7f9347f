"""Background jobs, one file each, and the one list of them."""

from bongsu.server.jobs.alerts import AlertDelivery, AlertEvaluation, AlertRetention
from bongsu.server.jobs.base import Job
from bongsu.server.jobs.compactor import Compactor
from bongsu.server.jobs.retention import Retention
from bongsu.server.jobs.sealer import Sealer

JOBS: tuple[type[Job], ...] = (Sealer, Compactor, Retention, AlertEvaluation, AlertDelivery, AlertRetention)

__all__ = ["JOBS", "Compactor", "Job", "Retention", "Sealer"]
