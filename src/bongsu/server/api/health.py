"""GET /api/health."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bongsu import __version__
from bongsu.server.api.access import Anyone
from bongsu.server.api.dependencies import ServicesDep

router = APIRouter(prefix="/api", tags=["health"])


class Problem(BaseModel):
    """A present problem."""

    code: str = Field(examples=["disk_full"])
    message: str
    since_ms: int


class IngestHealth(BaseModel):
    """Totals of ingest since the start."""

    frames_total: int
    samples_total: int
    duplicates_total: int
    rejected_total: dict[str, int] = Field(description="Refused requests by error code.")
    queued_bytes: int = Field(description="Bytes of values that wait for the disk.")


class Health(BaseModel):
    """The state of the API server. Fields that are null are shown only to callers who are logged in."""

    status: Literal["ok", "degraded"] = Field(description="degraded: it answers, but there are problems.")
    time_ms: int
    version: str | None = None
    uptime_seconds: float | None = None
    servers: int | None = Field(None, description="Servers the caller may see.")
    problems: list[Problem] | None = None
    ingest: IngestHealth | None = None
    refused_total: dict[str, int] | None = Field(
        None, description="Requests that were refused before they reached an endpoint, by error code."
    )


@router.get("/health", operation_id="get_health", summary="Get the state of the API server")
async def health(services: ServicesDep, user: Anyone) -> Health:
    """Answers 200 as long as the API server runs; `status` and `problems` tell whether all is well."""
    now_ms = services.clock.now_ms()
    ingest = services.ingest
    problems = []
    if ingest.problem is not None:
        error, since_ms = ingest.problem
        problems.append(Problem(code=error.code, message=error.message, since_ms=since_ms))
    status: Literal["ok", "degraded"] = "degraded" if problems else "ok"
    if user is None:
        return Health(status=status, time_ms=now_ms)
    return Health(
        status=status,
        time_ms=now_ms,
        version=__version__,
        uptime_seconds=(now_ms - services.started_ms) / 1000,
        servers=len(user.view(services.registry).by_id),
        problems=problems,
        ingest=IngestHealth(
            frames_total=ingest.counters.frames,
            samples_total=ingest.counters.samples,
            duplicates_total=ingest.counters.duplicates,
            rejected_total=dict(ingest.counters.rejected),
            queued_bytes=ingest.queued_bytes,
        ),
        refused_total=dict(services.refused),
    )
