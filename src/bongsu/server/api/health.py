"""GET /api/health, /api/health/live and /api/health/ready."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from bongsu import __version__
from bongsu.alerts.notes import Code, note
from bongsu.core.errors import Unavailable
from bongsu.core.units import parse_duration_ms
from bongsu.server.api.access import Anyone
from bongsu.server.api.alerts.health import AlertsHealthInfo, alert_problems, alerts_info
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.schemas import Problem, problem
from bongsu.server.database.job_runs import JobRun, job_problems, load_job_runs
from bongsu.server.fleet.registry import Registry
from bongsu.server.services import Services
from bongsu.server.storage.backlog import Backlog, backlog

logger = logging.getLogger(__name__)

# Of the disk with Bongsu's data; a day of a thousand servers takes some 4 GB.
LEAST_FREE_RATIO, LEAST_FREE_BYTES = 0.05, 5 * 1024**3
# A restart of Redis is no problem.
FEED_AWAY_SECONDS = 30.0
# What asks whether it is ready usually gives up after a few seconds.
READY_SECONDS = 2.0

router = APIRouter(prefix="/api", tags=["health"])


class IngestHealth(BaseModel):
    """Totals of ingest since the start."""

    frames_total: int
    samples_total: int
    duplicates_total: int
    rejected_total: dict[str, int] = Field(description="Refused requests by error code.")
    samples_refused_total: dict[str, int] = Field(
        description="Foreign samples that were refused while others of their request were stored, by error code."
    )
    queued_bytes: int = Field(description="Bytes of values that wait for the disk.")


class LiveHealth(BaseModel):
    """The live stream of this API server."""

    clients: int = Field(description="Open connections.")
    streams: int = Field(description="What they watch: each stream is one layout of one server.")
    messages_total: int
    dropped_frames_total: int = Field(description="Frames that clients were not sent because they were too slow.")
    closed_total: dict[str, int] = Field(description="Connections that the API server closed, by close code.")


class StorageHealth(BaseModel):
    """How far the worker is behind. Late frames may be older than the 40 minutes after which frames are sealed."""

    unassembled_since_ms: int | None = Field(
        description="When the foreign samples that have waited longest to become frames were received."
    )
    unsealed_since_ms: int | None = Field(description="Time of the oldest frame that is not sealed.")
    unrolled_since_ms: int | None = Field(description="Time of the oldest block that is not part of the rollups.")
    quarantined_frames: int = Field(description="Damaged frames that were put aside: see `bongsu db check`.")


class JobHealth(BaseModel):
    """A job of the worker."""

    name: str = Field(examples=["sealer"])
    good_ms: int = Field(description="End of its last run without an error; 0: none yet.")
    error: str = Field(description="Why the whole job fails; empty: it works.")
    failing: int = Field(description="Items that fail, such as the layout of one server; the others go on.")


class Health(BaseModel):
    """The state of the API server. Fields that are null are shown only to callers who are logged in."""

    status: Literal["ok", "degraded"] = Field(description="degraded: it answers, but there are problems.")
    time_ms: int
    version: str | None = None
    uptime_seconds: float | None = None
    servers: int | None = Field(None, description="Servers the caller may see.")
    problems: list[Problem] | None = None
    ingest: IngestHealth | None = None
    live: LiveHealth | None = None
    storage: StorageHealth | None = None
    jobs: list[JobHealth] | None = None
    alerts: AlertsHealthInfo | None = None
    refused_total: dict[str, int] | None = Field(
        None, description="Requests that were refused before they reached an endpoint, by error code."
    )


async def own_problems(services: Services) -> set[str]:
    """The codes of all present problems, for the alerts about Bongsu itself."""
    now_ms = services.clock.now_ms()
    found = _problems_here(services, services.registry, now_ms)
    runs = await services.database.read(load_job_runs)
    found += _worker_problems(services, runs, now_ms)
    found += await _alert_problems(services, now_ms)
    return {present.code for present in found}


def _problems_here(services: Services, view: Registry, now_ms: int) -> list[Problem]:
    """What this process knows."""
    problems = []
    if services.ingest.problem is not None:
        error, since_ms = services.ingest.problem
        problems.append(Problem(code=error.code, message=error.message, parameters={}, since_ms=since_ms))
    feed = services.feed
    if feed is not None and feed.away_seconds > FEED_AWAY_SECONDS and services.fleet.others:
        since_ms = now_ms - round(1000 * feed.away_seconds)
        problems.append(problem(note(Code.FEED_AWAY, bus=feed.bus_name), since_ms))
    if services.database.damaged:
        problems.append(problem(note(Code.DATABASE_DAMAGED), now_ms))
    with contextlib.suppress(OSError):
        space = shutil.disk_usage(services.settings.data_dir)
        if space.free < min(LEAST_FREE_RATIO * space.total, LEAST_FREE_BYTES):
            problems.append(problem(note(Code.DISK_NEARLY_FULL, free_bytes=space.free), now_ms))
    limit = services.settings.limits.series_per_server
    for state in view.in_service().by_id.values():
        if state.unnamed_since_ms and state.unnamed:
            name = state.record.agent.name
            many = note(Code.TOO_MANY_SERIES, server=name, limit=limit, count=state.unnamed)
            problems.append(problem(many, state.unnamed_since_ms))
    return problems


def _worker_problems(services: Services, runs: Sequence[JobRun], now_ms: int) -> list[Problem]:
    return [problem(found, since_ms) for found, since_ms in job_problems(runs, now_ms, services.started_ms)]


async def _alert_problems(services: Services, now_ms: int) -> list[Problem]:
    interval_ms = parse_duration_ms(services.settings.alert_interval)
    return alert_problems(await services.alerts.state(), now_ms, interval_ms)


class Live(BaseModel):
    """The API server runs."""

    status: Literal["ok"] = "ok"


@router.get("/health/live", operation_id="get_health_live", summary="Tell whether the API server runs")
async def live(user: Anyone) -> Live:
    """Answers 200 as long as the API server answers at all: for what restarts it if it does not."""
    return Live()


@router.get("/health/ready", operation_id="get_health_ready", summary="Tell whether the API server can answer")
async def ready(services: ServicesDep, user: Anyone) -> Live:
    """Answers 200 if the database can be read, otherwise 503: for what sends requests elsewhere meanwhile. A problem
    that all API servers have alike, such as a full disk, does not count."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await services.database.read(lambda connection: connection.scalar(select(1)))
    except Exception as failure:
        logger.debug("not ready", exc_info=True)
        why = type(failure).__name__
        raise Unavailable(f"The database cannot be read ({why}).", code="not_ready") from None
    return Live()


@router.get("/health", operation_id="get_health", summary="Get the state of the API server")
async def health(services: ServicesDep, user: Anyone) -> Health:
    """Answers 200 as long as the API server runs; `status` and `problems` tell whether all is well."""
    now_ms = services.clock.now_ms()
    ingest = services.ingest
    view = services.registry if user is None else user.view(services.registry)
    problems = _problems_here(services, view, now_ms)
    runs: list[JobRun] = []
    behind: Backlog | None = None
    try:
        runs = await services.database.read(load_job_runs)
        behind = None if user is None else await services.database.read(backlog)
        problems += _worker_problems(services, runs, now_ms)
    except Exception as failure:  # whatever happens to the database, health answers
        logger.debug("the database cannot be read", exc_info=True)
        problems.append(problem(note(Code.DATABASE_UNREADABLE, error=type(failure).__name__), now_ms))
    alerts = await services.alerts.state()
    problems += await _alert_problems(services, now_ms)
    status: Literal["ok", "degraded"] = "degraded" if problems else "ok"
    if user is None:
        return Health(status=status, time_ms=now_ms)
    return Health(
        status=status,
        time_ms=now_ms,
        version=__version__,
        uptime_seconds=(now_ms - services.started_ms) / 1000,
        servers=len(view.in_service().by_id),
        problems=problems,
        ingest=IngestHealth(
            frames_total=ingest.counters.frames,
            samples_total=ingest.counters.samples,
            duplicates_total=ingest.counters.duplicates,
            rejected_total=dict(ingest.counters.rejected),
            samples_refused_total=dict(services.foreign.refused),
            queued_bytes=ingest.queued_bytes,
        ),
        live=LiveHealth(
            clients=len(services.live.clients),
            streams=services.live.streams,
            messages_total=services.live.post.messages,
            dropped_frames_total=services.live.dropped_frames,
            closed_total={str(code): count for code, count in services.live.closed.items()},
        ),
        storage=None if behind is None else StorageHealth(**asdict(behind)),
        jobs=[JobHealth(name=run.name, good_ms=run.good_ms, error=run.error, failing=run.failing) for run in runs],
        alerts=None if alerts is None else alerts_info(alerts, user.view(services.registry).by_id, user.restricted),
        refused_total=dict(services.refused),
    )
