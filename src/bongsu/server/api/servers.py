"""/api/servers: listing, retiring, restoring and deleting servers."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from bongsu.core.errors import NotFound
from bongsu.server.api.access import Admin, Operator, Viewer
from bongsu.server.api.answers import dumped, streamed
from bongsu.server.api.dependencies import PageCursor, RowId, ServicesDep
from bongsu.server.auth import retirement
from bongsu.server.auth.principal import Principal
from bongsu.server.fleet.registry import CLOCK_JUMP_MS, ServerState, State
from bongsu.server.services import Services

router = APIRouter(prefix="/api", tags=["servers"])


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
    state: State = Field(
        description="up: a frame arrived within 3 intervals; late: within a minute; down: within neither; retired: "
        "none is expected, and none accepted, until somebody restores it."
    )
    first_seen_ms: int
    last_seen_ms: int
    retired_ms: int | None = Field(description="When somebody retired it; null: it is in service.")
    interval_ms: int
    agent_version: str
    tags: dict[str, str] = Field(description="The tags that people set, and those that the agent reports.")
    own_tags: dict[str, str] = Field(description="The tags that people set; who may see the server can depend on them.")
    clock: Literal["ok", "ahead", "behind"] = Field(
        description="The clock of the agent; ok: within 5 s of the API server's."
    )
    clock_offset_ms: int = Field(description="The agent's clock minus the API server's, to within a second.")
    clock_jump_ms: int | None = Field(
        description="When the agent's clock last jumped, by the API server's clock; null: never."
    )
    host: Host
    kubernetes: bool = Field(description="Whether it is a node of Kubernetes, as far as its agent is told.")


class Servers(BaseModel):
    """A page of servers."""

    servers: list[Server]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


def clock_state(offset_ms: int) -> Literal["ok", "ahead", "behind"]:
    """Whether a clock with this offset is ok, ahead or behind."""
    return "ok" if abs(offset_ms) <= CLOCK_JUMP_MS else "ahead" if offset_ms > 0 else "behind"


def _server(state: ServerState, now_ms: int) -> Server:
    record = state.record
    return Server(
        id=record.id,
        name=record.agent.name,
        state=state.state_at(now_ms),
        first_seen_ms=record.first_seen_ms,
        last_seen_ms=state.last_seen_ms,
        retired_ms=record.retired_ms or None,
        interval_ms=record.agent.interval_ms,
        agent_version=record.agent.version,
        tags=record.tags,
        own_tags=record.own_tags,
        clock=clock_state(record.clock_offset_ms),
        clock_offset_ms=record.clock_offset_ms,
        clock_jump_ms=record.clock_jump_ms or None,
        host=Host.model_validate(record.host, from_attributes=True),
        kubernetes=state.is_of_kubernetes,
    )


@router.get("/servers", operation_id="list_servers", summary="List servers", response_model=Servers)
async def servers(
    services: ServicesDep,
    user: Viewer,
    name: Annotated[str | None, Query(description="Part of the name; case does not matter.")] = None,
    retired: Annotated[bool, Query(description="Also retired servers.")] = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    cursor: PageCursor = None,
) -> Response:
    """Lists servers in the order in which they first reported."""
    now_ms = services.clock.now_ms()
    wanted_name = (name or "").casefold()
    matches = [
        state
        for server_id, state in sorted(user.view(services.registry).by_id.items())
        if server_id > (cursor or 0)
        and (retired or not state.retired)
        and wanted_name in state.record.agent.name.casefold()
    ]
    return streamed(_page(matches[:limit], now_ms, more=len(matches) > limit))


def _page(states: list[ServerState], now_ms: int, *, more: bool) -> Iterator[bytes]:
    yield b'{"servers":['
    for index, state in enumerate(states):
        yield (b"," if index else b"") + _server(state, now_ms).model_dump_json().encode()
    yield b'],"next":%s}' % dumped(str(states[-1].record.id) if more else None)


@router.post("/servers/{server_id}/retire", operation_id="retire_server", summary="Retire a server")
async def retire(services: ServicesDep, user: Operator, server_id: RowId) -> Server:
    """For a machine that is switched off, for long or for good, and whose history is to be kept. It raises no alerts,
    and lists and queries leave it out unless they ask for it. What its agent sends is refused with 403
    `server_retired`; the agent buffers it, and sends it when the server is restored."""
    now_ms = services.clock.now_ms()
    visible_server(services, user, server_id)
    await services.fleet.change(lambda connection: retirement.retire(connection, user, server_id, now_ms))
    return _server(visible_server(services, user, server_id), now_ms)


@router.post("/servers/{server_id}/restore", operation_id="restore_server", summary="Restore a retired server")
async def restore(services: ServicesDep, user: Operator, server_id: RowId) -> Server:
    """Puts it back into service. Its agent's token is still valid, so it goes on sending by itself."""
    now_ms = services.clock.now_ms()
    visible_server(services, user, server_id)
    await services.fleet.change(lambda connection: retirement.restore(connection, user, server_id, now_ms))
    return _server(visible_server(services, user, server_id), now_ms)


@router.delete("/servers/{server_id}", operation_id="delete_server", summary="Delete a server", status_code=204)
async def delete(services: ServicesDep, user: Admin, server_id: RowId) -> None:
    """Deletes a server for good, with its samples, process lists, alerts, silences for it alone, and its agent's token.

    It is gone at once; the worker deletes its data within some minutes. Stop the agent first: one that still has a
    valid enrolment token enrols again, as a new server with a new id and no history."""
    now_ms = services.clock.now_ms()
    visible_server(services, user, server_id)
    await services.fleet.change(lambda connection: retirement.delete(connection, user, server_id, now_ms))
    await services.auth.directory.refresh()


def visible_server(services: Services, user: Principal, server_id: int) -> ServerState:
    """Raises NotFound unless the caller may see this server."""
    state = user.view(services.registry).by_id.get(server_id)
    if state is None:
        raise NotFound(f"There is no server {server_id}.", code="unknown_server", field="server_id")
    return state
