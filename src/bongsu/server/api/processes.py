"""GET /api/servers/{server_id}/processes."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from bongsu.core.errors import NotFound
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.timerange import parse_time_ms
from bongsu.server.storage.processes import processes_at

router = APIRouter(prefix="/api", tags=["servers"])


class ProcessInfo(BaseModel):
    """A process at the time of the list."""

    pid: int
    name: str = Field(description="The program, without its arguments.")
    user: str = Field(description="Who ran it; empty when not known.")
    cpu_ratio: float = Field(description="Share of one core since the list before; more than 1 on several cores.")
    memory_bytes: int = Field(description="Resident.")
    threads: int
    started_ms: int


class Processes(BaseModel):
    """What took most of a server at one moment."""

    server_id: int
    time_ms: int | None = Field(description="When the list was taken; null when there is none.")
    before_ms: int | None = Field(description="The list before it, for `at`; null on the oldest.")
    after_ms: int | None = Field(description="The list after it, for `at`; null on the newest.")
    processes: list[ProcessInfo]


@router.get("/servers/{server_id}/processes", operation_id="get_processes", summary="What took CPU and memory")
async def processes(
    services: ServicesDep,
    user: Viewer,
    server_id: int,
    at: Annotated[
        str, Query(description="Unix milliseconds, ISO 8601, now, or -15m, -6h, -7d.", examples=["-6h"])
    ] = "now",
    sort: Annotated[Literal["cpu", "memory"], Query(description="What stands first: most CPU or most memory.")] = "cpu",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Processes:
    """The list that was taken at `at`, or the last one before. An agent takes one every 30 s, of the processes that
    took most CPU and of those that held most memory."""
    at_ms = parse_time_ms(at, services.clock.now_ms(), field="at")
    if server_id not in user.view(services.registry).by_id:
        raise NotFound(f"There is no server {server_id}.", code="unknown_server", field="server_id")
    found = await services.database.read(lambda connection: processes_at(connection, server_id, at_ms))
    listed = found.processes.processes if found.processes else []
    if sort == "cpu":
        listed = sorted(listed, key=lambda one: (-one.cpu_ratio, -one.memory_bytes, one.pid))
    else:
        listed = sorted(listed, key=lambda one: (-one.memory_bytes, -one.cpu_ratio, one.pid))
    return Processes(
        server_id=server_id,
        time_ms=found.processes.time_ms if found.processes else None,
        before_ms=found.before_ms,
        after_ms=found.after_ms,
        processes=[ProcessInfo(**one._asdict()) for one in listed[:limit]],
    )
