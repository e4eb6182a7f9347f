"""Statements on the table ``job_runs``: how the jobs of the worker fare, for the API server to show."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from bongsu.alerts.notes import Code, Note, note
from bongsu.core.units import MINUTE_MS
from bongsu.server.database.tables import job_runs

# How often the worker writes, and how long it may be silent before it counts as stopped.
TELL_SECONDS = 15
SILENT_MS = 2 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class JobRun:
    """One job. ``good_ms``: end of its last run without an error, 0: none yet; ``due_ms``: when the present run should
    have ended; ``error``: why the whole job fails; ``failing``: items that fail, the oldest since ``failing_since_ms``,
    some of them in ``examples``."""

    name: str
    told_ms: int
    good_ms: int
    due_ms: int
    error: str = ""
    failing: int = 0
    failing_since_ms: int = 0
    examples: str = ""


def store_job_runs(connection: Connection, runs: Sequence[JobRun]) -> None:
    """Replaces the rows of these jobs. Of two workers, the last one to write counts."""
    connection.execute(delete(job_runs).where(job_runs.c.name.in_([run.name for run in runs])))
    connection.execute(insert(job_runs), [{name: getattr(run, name) for name in JobRun.__slots__} for run in runs])


def load_job_runs(connection: Connection) -> list[JobRun]:
    """All jobs, by name."""
    columns = [job_runs.c[name] for name in JobRun.__slots__]
    return [JobRun(*row) for row in connection.execute(select(*columns).order_by(job_runs.c.name))]


def job_problems(runs: Sequence[JobRun], now_ms: int, started_ms: int) -> list[tuple[Note, int]]:
    """What the worker does not do as it should, and since when.

    ``started_ms``: when the API server started; the worker gets SILENT_MS from then on to tell of itself.
    """
    told_ms = max((run.told_ms for run in runs), default=0)
    silent_since_ms = max(told_ms, started_ms)
    if now_ms - silent_since_ms > SILENT_MS:
        return [(note(Code.WORKER_SILENT), told_ms or started_ms)]
    problems = []
    for run in runs:
        if run.error:
            problems.append((note(Code.JOB_FAILING, job=run.name, error=run.error), run.good_ms))
        elif run.due_ms < now_ms:
            problems.append((note(Code.JOB_LATE, job=run.name), run.good_ms))
        if run.failing:
            failing = note(Code.ITEMS_FAILING, job=run.name, count=run.failing, examples=run.examples)
            problems.append((failing, run.failing_since_ms))
    return problems
