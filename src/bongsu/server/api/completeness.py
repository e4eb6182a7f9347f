"""GET /api/metrics/completeness."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.units import HOUR_MS
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import PageCursor, Retired, ServicesDep
from bongsu.server.api.timerange import parse_range
from bongsu.server.fleet.registry import ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.fleet.servers import load_intervals
from bongsu.server.history.completeness import Completeness, judge_streams, read_runs, streams
from bongsu.server.storage.floors import floors

router = APIRouter(prefix="/api/metrics", tags=["metrics"])


class GapInfo(BaseModel):
    """A gap between frames."""

    start_ms: int
    end_ms: int
    missing: int = Field(description="How many frames are missing.")


class ServerCompleteness(BaseModel):
    """The completeness of one server."""

    server_id: int
    start_ms: int = Field(description="Start of the range, or when the server was first watched.")
    end_ms: int = Field(description="End of the range, or the newest frame of a server that is up or retired.")
    expected: int = Field(description="How many frames there should be, by the interval of the agent.")
    stored: int
    ratio: float | None = Field(description="stored / expected, 0 to 1; null if no frame is expected.")
    gaps: list[GapInfo] = Field(description="The 100 longest gaps, by time.")


class CompletenessAnswer(BaseModel):
    """A page of servers."""

    start_ms: int
    end_ms: int
    servers: list[ServerCompleteness]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


@router.get("/completeness", operation_id="get_completeness", summary="Compare stored with expected frames")
async def completeness(
    services: ServicesDep,
    user: Viewer,
    server: Annotated[list[int], Query(description="Server ids; all servers if omitted.")] = [],
    retired: Retired = False,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -15m, -6h, -7d.")] = "-24h",
    end: Annotated[str, Query(description="As `start`; not included in the range.")] = "now",
    limit: Annotated[int, Query(ge=1, le=200, description="Servers on a page.")] = 50,
    cursor: PageCursor = None,
) -> CompletenessAnswer:
    """Proves what was not lost. The frames of a machine that was off count as missing, since nobody can tell."""
    now_ms = services.clock.now_ms()
    start_ms, end_ms = parse_range(start, end, now_ms)
    states = [
        state
        for state in Selection(tuple(server), retired=retired).servers(user.view(services.registry))
        if state.record.id > (cursor or 0)
    ]
    page = states[:limit]
    servers = [(state.record.id, streams(list(state.layouts_since(start_ms)))) for state in page]

    def read(connection: Connection) -> list[Completeness]:
        known = floors(connection)
        intervals = load_intervals(connection, [state.record.id for state in page])
        results = []
        for state, (server_id, parts) in zip(page, servers, strict=True):
            range_ms = _watched(state, start_ms, end_ms, now_ms, known[HOUR_MS])
            runs = [read_runs(connection, [(server_id, layout) for layout in part], *range_ms, known) for part in parts]
            expected = _intervals(intervals.get(server_id, []), state.interval_ms)
            results.append(judge_streams(server_id, runs, *range_ms, expected))
        return results

    results = await services.database.read(read)
    return CompletenessAnswer(
        start_ms=start_ms,
        end_ms=end_ms,
        servers=[
            ServerCompleteness(
                server_id=result.server_id,
                start_ms=result.start_ms,
                end_ms=result.end_ms,
                expected=result.expected,
                stored=result.stored,
                ratio=result.ratio,
                gaps=[GapInfo(start_ms=gap.start_ms, end_ms=gap.end_ms, missing=gap.missing) for gap in result.gaps],
            )
            for result in results
        ],
        next=str(page[-1].record.id) if len(states) > limit else None,
    )


def _watched(state: ServerState, start_ms: int, end_ms: int, now_ms: int, floor_ms: int) -> tuple[int, int]:
    """The part of the range in which the server was watched and of which something is kept."""
    first_ms = max(start_ms, min(max(state.oldest_ms, floor_ms), end_ms))
    expects_more = state.state_at(now_ms) in ("late", "down")
    last_ms = min(end_ms, now_ms if expects_more else state.last_seen_ms + 1)
    return first_ms, max(first_ms, last_ms)


def _intervals(intervals: list[tuple[int, int]], otherwise_ms: int) -> list[tuple[int, int]]:
    """The intervals of the agent; the default where it named none."""
    return [(since_ms, interval_ms or otherwise_ms) for since_ms, interval_ms in intervals] or [(0, otherwise_ms)]
