"""GET /api/metrics/history, and POST /api/metrics/histories for several at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from bongsu.core.errors import BongsuError
from bongsu.core.units import HOUR_MS
from bongsu.server.api.access import Viewer
from bongsu.server.api.answers import dumped
from bongsu.server.api.dependencies import SelectionDep, ServicesDep
from bongsu.server.api.history_answers import MEDIA_TYPES, Format, HistoryAnswer, formatted, history_json, small_json
from bongsu.server.api.history_requests import HistoryRequests, make_query, requested
from bongsu.server.api.schemas import ErrorBody
from bongsu.server.auth.principal import Principal
from bongsu.server.errors import error_body
from bongsu.server.history import History, HistoryQuery, Resolution
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.services import Services

# A range that ended this long ago changes only by late frames; an answer may then be cached for ten minutes.
_SETTLED_MS = HOUR_MS
_SETTLED_SECONDS = 600


router = APIRouter(prefix="/api/metrics", tags=["metrics"])


@router.get(
    "/history",
    operation_id="get_metrics_history",
    summary="Get the history of series",
    response_model=HistoryAnswer,
    responses={
        200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
        304: {"description": "Unchanged since the answer with the ETag in If-None-Match."},
    },
)
async def history(
    services: ServicesDep,
    user: Viewer,
    selection: SelectionDep,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -15m, -6h, -7d.")] = "-1h",
    end: Annotated[str, Query(description="As `start`; not included in the range.")] = "now",
    max_points: Annotated[int, Query(ge=2, le=10_000, description="Maximum number of points per series.")] = 500,
    step: Annotated[
        str | None, Query(description="Length of a bucket, such as 1m; chosen by `max_points` if omitted.")
    ] = None,
    aggregation: Annotated[
        Aggregation | None,
        Query(description="What a point says of its bucket; default avg for gauges, rate (per s) for counters."),
    ] = None,
    resolution: Annotated[
        Resolution | None,
        Query(description="What points are made from; if omitted, the coarsest that gives enough points."),
    ] = None,
    across: Annotated[
        Aggregation | None,
        Query(description="Combines many series into one: avg, min, max, sum, count or a percentile of their points."),
    ] = None,
    group_by: Annotated[
        list[str], Query(description="With `across`: one series for each `server`, `tag:NAME` or `label:NAME`.")
    ] = [],
    limit: Annotated[int, Query(ge=1, le=5_000, description="Series on a page.")] = 500,
    cursor: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    format: Annotated[Format, Query(description="`arrow`: an Arrow IPC stream.")] = Format.JSON,
    if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Returns the stored samples if they fit into `max_points`, else one point for each bucket with its extremes.

    Points are made from the coarsest of raw samples, minutes and hours that gives enough points and is still kept;
    `resolution` says which. Buckets of a rollup count whole.
    """
    now_ms = services.clock.now_ms()
    query = make_query(
        selection,
        now_ms,
        start=start,
        end=end,
        max_points=max_points,
        step=step,
        aggregation=aggregation,
        resolution=resolution,
        across=across,
        group_by=group_by,
        limit=limit,
        cursor=cursor,
    )
    return await answered(services, user, query, format, if_none_match or "", now_ms)


async def answered(
    services: Services, user: Principal, query: HistoryQuery, format: Format, if_none_match: str, now_ms: int
) -> Response:
    """The answer to a query; without a body if the client has it already. Raises what ``HistoryReader.run`` does."""
    known = if_none_match.strip().removeprefix("W/").strip('"')
    suffix = f"-{format.value}"
    # JSON is made by the thread that has read and computed.
    make = partial(small_json, query) if format is Format.JSON else _nothing
    answer, body = await services.history.run_and(
        make, query, user.view(services.registry), known.removesuffix(suffix) if known else None
    )
    headers = {"Cache-Control": "private, no-cache"}
    if answer.tag is not None:
        headers["ETag"] = f'"{answer.tag}{suffix}"'
        if query.end_ms < now_ms - _SETTLED_MS:
            headers["Cache-Control"] = f"private, max-age={_SETTLED_SECONDS}"
        if known == answer.tag + suffix:
            return Response(status_code=304, headers=headers)
    if body is not None:
        return Response(body, headers=headers, media_type="application/json")
    names = {record.id: record.agent.name for record in services.registry.records()}
    response = formatted(query, answer, format, names)
    response.headers.update(headers)
    return response


def _nothing(_answer: History) -> None:
    return None


class HistoryAnswers(BaseModel):
    """The answers in the order of the queries; an error instead of one that cannot be answered."""

    answers: list[HistoryAnswer | ErrorBody]


@router.post(
    "/histories",
    operation_id="get_metrics_histories",
    summary="Get the answers to several history queries",
    response_model=HistoryAnswers,
)
async def histories(services: ServicesDep, user: Viewer, asked: HistoryRequests) -> Response:
    """Answers up to 60 queries at once, as a dashboard asks them: what they have in common is read once, and all of
    them mean the same moment by `now`. A query that cannot be answered costs only itself."""
    now_ms = services.clock.now_ms()
    parsed: list[HistoryQuery | BongsuError] = []
    for request in asked.queries:
        try:
            parsed.append(await requested(request, now_ms))
        except BongsuError as error:
            parsed.append(error)
    queries = [query for query in parsed if isinstance(query, HistoryQuery)]
    answers = services.history.run_together(queries, user.view(services.registry))
    return StreamingResponse(_answers_json(parsed, answers), media_type="application/json")


async def _answers_json(
    queries: Sequence[HistoryQuery | BongsuError], answers: AsyncIterator[History | BongsuError]
) -> AsyncIterator[bytes]:
    separator = b'{"answers":['
    for query in queries:
        answer = query if isinstance(query, BongsuError) else await anext(answers)
        if isinstance(answer, BongsuError):
            part = dumped(error_body(answer.code, answer.message, answer.field, answer.limit))
        else:
            assert isinstance(query, HistoryQuery)
            part = await asyncio.to_thread(b"".join, history_json(query, answer))
        yield separator + part
        separator = b","
    yield b"]}"
