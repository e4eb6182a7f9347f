"""GET /api/containers, /api/servers/{server_id}/containers and /api/servers/{server_id}/containers/events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from bongsu.core.samples import Container, ContainerEvent
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import SelectionDep, ServerId, ServicesDep
from bongsu.server.api.servers import visible_server
from bongsu.server.api.timerange import parse_range, parse_time_ms
from bongsu.server.storage.containers import containers_at, lists_with_events, newest_lists

router = APIRouter(prefix="/api", tags=["servers"])

# Agents send a list each minute, and after an outage at once. An older one says nothing about now.
NEWEST_MS = 5 * 60_000
# What happened in a moment may come with a list that was sent that much later.
SLACK_MS = 10 * 60_000


class ContainerInfo(BaseModel):
    """A container at the time of the list; one that has ended since the list before, as it was then."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(
        description="The first 12 characters of the runtime's id; of Kubernetes a hash of pod and name, which stays."
    )
    name: str = Field(description="Of Kubernetes: `namespace/pod/container`.")
    image: str
    workload: str = Field(
        description="What it is one of: `project/service` of Compose, `namespace/deployment`, or its image without tag."
    )
    runtime: str = Field(description="docker, podman, lxc, nspawn, kubernetes, or what its control group tells.")
    state: str = Field(
        description="created, running, paused, restarting, removing, exited or dead; empty if only its control group "
        "is known."
    )
    health: str = Field(description="starting, healthy or unhealthy; empty without a health check.")
    exit_code: int = Field(description="Of its last run, if that has ended.")
    restarts: int = Field(description="By its restart policy.")
    oom_kills: int = Field(description="Times that the kernel killed a process of it for want of memory.")
    ports: str = Field(description="Such as `0.0.0.0:8080->80/tcp`, with commas.")
    cpu_ratio: float = Field(description="Share of one core since the previous list; may exceed 1 on several cores.")
    memory_bytes: int = Field(description="Working set: without files that have not been used lately.")
    memory_limit_bytes: int = Field(description="0: no limit.")
    processes: int
    created_ms: int
    started_ms: int
    finished_ms: int = Field(description="0: it runs.")
    namespace: str = Field(description="Of Kubernetes, as all that follows; else empty or 0.")
    pod: str
    workload_kind: str = Field(description="Deployment, StatefulSet, DaemonSet, CronJob, Job, ...; Node: a static pod.")
    pod_phase: str = Field(
        description="Pending, Running, Succeeded, Failed or Unknown; empty if the agent is not told."
    )
    reason: str = Field(description="Why it waits or ended: CrashLoopBackOff, OOMKilled, Evicted, Completed, ...")
    cpu_request_cores: float
    cpu_limit_cores: float = Field(description="0: no limit.")
    memory_request_bytes: int


class ContainerEventInfo(BaseModel):
    """What happened to a container."""

    model_config = ConfigDict(from_attributes=True)

    time_ms: int
    type: str = Field(description="started, exited, oom_killed, restarted, healthy, unhealthy, evicted or removed.")
    container_id: str
    name: str
    workload: str
    exit_code: int = Field(description="Of exited and restarted.")


class Containers(BaseModel):
    """The containers of a server at one moment."""

    server_id: int
    time_ms: int | None = Field(description="When the list was taken; null if there is none.")
    before_ms: int | None = Field(description="Time of the previous list, for `at`; null for the oldest list.")
    after_ms: int | None = Field(description="Time of the next list, for `at`; null for the newest list.")
    containers: list[ContainerInfo]


class ContainersOfServer(BaseModel):
    """The newest list of a server."""

    server_id: int
    time_ms: int
    containers: list[ContainerInfo]


class FleetContainers(BaseModel):
    """The containers of all servers."""

    servers: list[ContainersOfServer] = Field(description="Those that have sent a list within five minutes.")


class ContainerEvents(BaseModel):
    """What happened to the containers of a server, newest first."""

    events: list[ContainerEventInfo]
    more: bool = Field(description="Whether there are older ones within the range.")
    dropped: int = Field(
        description="Events that the agent left out of these lists because there were too many, of whichever container."
    )


async def _make_filter(
    namespace: Annotated[str, Query(max_length=256, description="Of Kubernetes; all if empty.")] = "",
    workload: Annotated[str, Query(max_length=256, description="As `workload` of the answer; all if empty.")] = "",
    pod: Annotated[str, Query(max_length=256, description="Name of a pod; all if empty.")] = "",
    runtime: Annotated[str, Query(max_length=256, description="Such as `docker` or `kubernetes`; all if empty.")] = "",
) -> dict[str, str]:
    wanted = {"namespace": namespace, "workload": workload, "pod": pod, "runtime": runtime}
    return {name: value for name, value in wanted.items() if value}


# What a container must have to be in the answer: field -> value.
FilterDep = Annotated[dict[str, str], Depends(_make_filter)]


def _infos(containers: list[Container], wanted: dict[str, str]) -> list[ContainerInfo]:
    return [
        ContainerInfo.model_validate(container)
        for container in containers
        if all(getattr(container, name) == value for name, value in wanted.items())
    ]


@router.get("/containers", operation_id="list_fleet_containers", summary="List the containers of all servers")
async def list_fleet_containers(
    services: ServicesDep, user: Viewer, selection: SelectionDep, wanted: FilterDep
) -> FleetContainers:
    """The newest list of each selected server, with the containers that have what is asked for."""
    now_ms = services.clock.now_ms()
    ids = sorted(state.record.id for state in selection.servers(user.view(services.registry)))
    start_ms = now_ms - NEWEST_MS
    lists = await services.database.read(lambda connection: newest_lists(connection, ids, start_ms, now_ms + NEWEST_MS))
    return FleetContainers(
        servers=[
            ContainersOfServer(server_id=server_id, time_ms=one.time_ms, containers=_infos(one.containers, wanted))
            for server_id, one in sorted(lists.items())
        ]
    )


@router.get(
    "/servers/{server_id}/containers", operation_id="list_containers", summary="List the containers of a server"
)
async def list_containers(
    services: ServicesDep,
    user: Viewer,
    server_id: ServerId,
    wanted: FilterDep,
    at: Annotated[
        str, Query(description="Unix milliseconds, ISO 8601, now, or -15m, -6h, -7d.", examples=["-6h"])
    ] = "now",
) -> Containers:
    """The last list that was taken at or before `at`. An agent takes one each minute; it also holds the containers that
    have ended since the one before."""
    at_ms = parse_time_ms(at, services.clock.now_ms(), field="at")
    visible_server(services, user, server_id)
    found = await services.database.read(lambda connection: containers_at(connection, server_id, at_ms))
    return Containers(
        server_id=server_id,
        time_ms=found.containers.time_ms if found.containers else None,
        before_ms=found.before_ms,
        after_ms=found.after_ms,
        containers=_infos(found.containers.containers, wanted) if found.containers else [],
    )


@router.get(
    "/servers/{server_id}/containers/events",
    operation_id="list_container_events",
    summary="List what happened to the containers of a server",
)
async def list_container_events(
    services: ServicesDep,
    user: Viewer,
    server_id: ServerId,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -15m, -6h, -7d.")] = "-24h",
    end: Annotated[str, Query(description="As `start`; not included in the range.")] = "now",
    container: Annotated[str, Query(max_length=256, description="Name of a container; all if empty.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 500,
) -> ContainerEvents:
    """Starts, ends with their exit codes, kills for want of memory, restarts, and changes of health; newest first."""
    now_ms = services.clock.now_ms()
    start_ms, end_ms = parse_range(start, end, now_ms)
    visible_server(services, user, server_id)

    def read(connection: Connection) -> tuple[list[ContainerEvent], int]:
        events: list[ContainerEvent] = []
        dropped = 0
        for one in lists_with_events(connection, server_id, start_ms, end_ms, SLACK_MS):
            dropped += one.events_dropped
            told = (event for event in reversed(one.events) if start_ms <= event.time_ms < end_ms)
            events += [event for event in told if container in ("", event.name)]
            if len(events) > limit:
                break
        return events, dropped

    events, dropped = await services.database.read(read)
    return ContainerEvents(
        events=[ContainerEventInfo.model_validate(event) for event in events[:limit]],
        more=len(events) > limit,
        dropped=dropped,
    )
