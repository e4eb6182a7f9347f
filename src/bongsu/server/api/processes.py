"""GET /api/servers/{server_id}/processes."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.servers import visible_server
from bongsu.server.api.timerange import parse_time_ms
from bongsu.server.storage.processes import processes_at

router = APIRouter(prefix="/api", tags=["servers"])


class ProcessInfo(BaseModel):
    """A process at the time of the list."""

    pid: int
    name: str = Field(description="The program, without its arguments.")
    user: str = Field(description="Who ran it; empty if unknown.")
    cpu_ratio: float = Field(description="Share of one core since the previous list; may exceed 1 on several cores.")
    memory_bytes: int = Field(description="Resident memory.")
    threads: int
    started_ms: int


class Processes(BaseModel):
    """The processes that used most of a server at one moment."""

    server_id: int
    time_ms: int | None = Field(description="When the list was taken; null if there is none.")
    before_ms: int | None = Field(description="Time of the previous list, for `at`; null for the oldest list.")
    after_ms: int | None = Field(description="Time of the next list, for `at`; null for the newest list.")
    processes: list[ProcessInfo]


@router.get(
    "/servers/{server_id}/processes",
    operation_id="get_processes",
    summary="List the processes that used CPU and memory",
)
async def list_processes(
    services: ServicesDep,
    user: Viewer,
    server_id: int,
    at: Annotated[
        str, Query(description="Unix milliseconds, ISO 8601, now, or -15m, -6h, -7d.", examples=["-6h"])
    ] = "now",
    sort: Annotated[Literal["cpu", "memory"], Query(description="Order: most CPU or most memory first.")] = "cpu",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Processes:
    """Returns the last list that was taken at or before `at`. An agent takes one every 60 s, with the processes that
    used most CPU and those that used most memory."""
    at_ms = parse_time_ms(at, services.clock.now_ms(), field="at")
    visible_server(services, user, server_id)
    list_at = await services.database.read(lambda connection: processes_at(connection, server_id, at_ms))
    processes = list_at.processes.processes if list_at.processes else []
    if sort == "cpu":
        processes = sorted(processes, key=lambda process: (-process.cpu_ratio, -process.memory_bytes, process.pid))
    else:
        processes = sorted(processes, key=lambda process: (-process.memory_bytes, -process.cpu_ratio, process.pid))
    return Processes(
        server_id=server_id,
        time_ms=list_at.processes.time_ms if list_at.processes else None,
        before_ms=list_at.before_ms,
        after_ms=list_at.after_ms,
        processes=[ProcessInfo(**process._asdict()) for process in processes[:limit]],
    )
