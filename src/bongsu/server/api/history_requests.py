"""What history queries ask for: the parameters of a request become a ``HistoryQuery``."""

from collections.abc import Sequence
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bongsu.core.errors import InvalidInput
from bongsu.core.units import parse_duration_ms
from bongsu.server.api.dependencies import make_selection
from bongsu.server.api.history_answers import decode_cursor
from bongsu.server.api.timerange import parse_range
from bongsu.server.fleet.selection import Selection
from bongsu.server.history import HistoryQuery, Resolution
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.groups import parse_grouping

# As many as a dashboard has widgets.
MOST_QUERIES = 60
_LISTS = frozenset(("server", "name", "tag", "metric", "type", "labels", "group_by"))


class HistoryRequest(BaseModel):
    """A query, with the parameters of `GET /api/metrics/history`."""

    model_config = ConfigDict(extra="forbid")

    server: list[int] = []
    name: list[str] = []
    retired: bool = False
    tag: list[str] = []
    metric: list[str] = []
    type: list[str] = []
    labels: list[str] = []
    start: str = "-1h"
    end: str = "now"
    max_points: int = Field(500, ge=2, le=10_000)
    step: str | None = None
    aggregation: Aggregation | None = None
    resolution: Resolution | None = None
    across: Aggregation | None = None
    group_by: list[str] = []
    limit: int = Field(500, ge=1, le=5_000)


class HistoryRequests(BaseModel):
    """Queries of one moment."""

    queries: list[HistoryRequest] = Field(min_length=1, max_length=MOST_QUERIES)


def usual_request(query_string: bytes) -> HistoryRequest | None:
    """The request of a query string, read in 20 us; None if it says anything else, or something that is wrong."""
    values = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    try:
        return HistoryRequest.model_validate(
            {name: found if name in _LISTS else found[-1] for name, found in values.items()}
        )
    except ValidationError:
        return None


async def requested(request: HistoryRequest, now_ms: int) -> HistoryQuery:
    """Raises InvalidInput."""
    of_selection = {"server", "name", "retired", "tag", "metric", "type", "labels"}
    selection = await make_selection(**request.model_dump(include=of_selection))
    return make_query(selection, now_ms, **request.model_dump(exclude=of_selection))


def make_query(
    selection: Selection,
    now_ms: int,
    *,
    start: str,
    end: str,
    max_points: int,
    step: str | None,
    aggregation: Aggregation | None,
    resolution: Resolution | None,
    across: Aggregation | None,
    group_by: Sequence[str],
    limit: int,
    cursor: str | None = None,
) -> HistoryQuery:
    """Raises InvalidInput."""
    start_ms, end_ms = parse_range(start, end, now_ms)
    step_ms = parse_duration_ms(step, field="step") if step else None
    if step_ms is not None and (step_ms < 1_000 or (end_ms - start_ms) // step_ms > 10_000):
        raise InvalidInput("step must be at least 1s and give at most 10,000 points.", field="step", limit=10_000)
    return HistoryQuery(
        selection,
        start_ms,
        end_ms,
        max_points,
        step_ms,
        aggregation,
        limit,
        decode_cursor(cursor),
        resolution,
        parse_grouping(across, group_by),
    )
