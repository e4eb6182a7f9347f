"""GET /api/events: what has happened."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from bongsu.alerts.rules import Severity
from bongsu.core.events import Event, EventType
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import PageCursor, ServicesDep
from bongsu.server.api.timerange import parse_range
from bongsu.server.fleet.events import load_events

router = APIRouter(prefix="/api/events", tags=["events"])


class EventInfo(BaseModel):
    """Something that has happened to a server."""

    id: int
    time_ms: int = Field(description="When it became known, by the API server's clock.")
    type: EventType = Field(
        description="`server_down`, `server_up`: no frame for three intervals, at least a minute, and the first one "
        "after that. `rebooted`: the boot time that the agent reports is a later one. `clock_jumped`: by over 5 s. "
        "`container_failed`: an exit code other than 0 that nobody asked for. Of a container, each type is told once "
        "in ten minutes; `/api/servers/{server_id}/containers/events` has all."
    )
    server_id: int = Field(description="0: Bongsu itself.")
    server_name: str = Field(description="The name at that time.")
    alert_id: int | None = Field(description="Of an alert only, as are the rule, the severity and the series.")
    rule_name: str
    severity: Severity | None
    series: str = Field(description="Empty for the server as a whole.")
    before: str = Field(
        description="What changed. `agent_updated`: the version; `rebooted`: when the host booted, in Unix ms; "
        "`clock_jumped`: the agent's clock minus the API server's, in ms; of a container: its name. Empty for other "
        "types."
    )
    after: str = Field(description="As `before`; `alert_acknowledged`: by whom; of a container: its exit code.")


class Events(BaseModel):
    """A page of events, newest first."""

    events: list[EventInfo]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


def _info(event: Event) -> EventInfo:
    return EventInfo(
        id=event.id,
        time_ms=event.time_ms,
        type=event.type,
        server_id=event.server_id,
        server_name=event.server_name,
        alert_id=event.alert_id or None,
        rule_name=event.rule_name,
        severity=Severity(event.severity) if event.severity else None,
        series=event.series,
        before=event.before,
        after=event.after,
    )


@router.get("", operation_id="list_events", summary="List what has happened")
async def events(
    services: ServicesDep,
    user: Viewer,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -6h, -7d.")] = "-24h",
    end: Annotated[str, Query(description="As `start`; not included in the range.")] = "now",
    server: Annotated[
        list[Annotated[int, Field(ge=0, le=2**31 - 1)]],
        Query(description="Server ids, 0 for Bongsu itself; all if omitted."),
    ] = [],
    type: Annotated[list[EventType], Query(description="All types if omitted.")] = [],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: PageCursor = None,
) -> Events:
    """Lists what has happened to servers, newest first: new, down and up again, retired and restored, agents updated,
    hosts rebooted, clocks that jumped, containers that failed or are unhealthy, and alerts that fired, were
    acknowledged and resolved. Kept as long as alerts. The live stream (`/api/ws`) tells them as they happen."""
    start_ms, end_ms = parse_range(start, end, services.clock.now_ms())
    server_ids: list[int] | None = server or None
    if user.restricted:
        visible = user.view(services.registry).by_id
        server_ids = [server_id for server_id in server or visible if server_id in visible]
    found = await services.database.read(
        lambda connection: load_events(
            connection,
            start_ms=start_ms,
            # "now" should include what has just happened.
            end_ms=end_ms + 1,
            before_id=cursor,
            limit=limit + 1,
            server_ids=server_ids,
            types=type,
        )
    )
    page = found[:limit]
    return Events(events=[_info(event) for event in page], next=str(page[-1].id) if len(found) > limit else None)
