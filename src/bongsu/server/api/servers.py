"""GET /api/servers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from bongsu.core.liveness import DOWN_AFTER, LATE_AFTER
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.fleet.registry import CLOCK_JUMP_MS, ServerState

router = APIRouter(prefix="/api", tags=["servers"])


State = Literal["up", "late", "down"]


class Host(BaseModel):
    """Facts about the host. Empty or 0: unknown."""

    hostname: str
    os: str
    kernel: str
    architecture: str
    cpu_model: str
    cpu_count: int
    memory_total_bytes: int
    boot_time_ms: int


class Server(BaseModel):
    """A monitored machine."""

    id: int
    name: str
    state: State = Field(description="up: a frame arrived within 3 intervals; late: within 10; down: none within 10.")
    first_seen_ms: int
    last_seen_ms: int
    interval_ms: int
    agent_version: str
    tags: dict[str, str] = Field(description="The tags that people set, and those that the agent reports.")
    own_tags: dict[str, str] = Field(description="The tags that people set; who may see the server can depend on them.")
    clock: Literal["ok", "ahead", "behind"] = Field(
        description="The clock of the agent; ok: within 5 s of the API server's."
    )
    clock_offset_ms: int = Field(description="The agent's clock minus the API server's, at its last request.")
    clock_jump_ms: int | None = Field(
        description="When the agent's clock last jumped, by the API server's clock; null: never."
    )
    host: Host


class Servers(BaseModel):
    """A page of servers."""

    servers: list[Server]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


def state_at(heard_ms: int, interval_ms: int, now_ms: int) -> State:
    """up, late or down, by when a frame last arrived: an agent's clock may be wrong."""
    age = (now_ms - heard_ms) / interval_ms
    return "up" if age <= LATE_AFTER else "late" if age <= DOWN_AFTER else "down"


def clock_state(offset_ms: int) -> Literal["ok", "ahead", "behind"]:
    """Whether a clock with this offset is ok, ahead or behind."""
    return "ok" if abs(offset_ms) <= CLOCK_JUMP_MS else "ahead" if offset_ms > 0 else "behind"


def _server(state: ServerState, now_ms: int) -> Server:
    record = state.record
    return Server(
        id=record.id,
        name=record.agent.name,
        state=state_at(state.heard_ms, state.interval_ms, now_ms),
        first_seen_ms=record.first_seen_ms,
        last_seen_ms=state.last_seen_ms,
        interval_ms=record.agent.interval_ms,
        agent_version=record.agent.version,
        tags=record.tags,
        own_tags=record.own_tags,
        clock=clock_state(record.clock_offset_ms),
        clock_offset_ms=record.clock_offset_ms,
        clock_jump_ms=record.clock_jump_ms or None,
        host=Host.model_validate(record.host, from_attributes=True),
    )


@router.get("/servers", operation_id="list_servers", summary="List servers")
async def servers(
    services: ServicesDep,
    user: Viewer,
    name: Annotated[str | None, Query(description="Part of the name; case does not matter.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    cursor: Annotated[int, Query(ge=0, description="`next` of the previous page.")] = 0,
) -> Servers:
    """Lists servers in the order in which they first reported."""
    now_ms = services.clock.now_ms()
    wanted_name = (name or "").casefold()
    matches = [
        state
        for server_id, state in sorted(user.view(services.registry).by_id.items())
        if server_id > cursor and wanted_name in state.record.agent.name.casefold()
    ]
    page = matches[:limit]
    return Servers(
        servers=[_server(state, now_ms) for state in page],
        next=str(page[-1].record.id) if len(matches) > limit else None,
    )
