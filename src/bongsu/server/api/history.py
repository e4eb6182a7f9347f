"""GET /api/metrics/history, and POST /api/metrics/histories for several at once."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from bongsu.core.errors import BongsuError, InvalidInput
from bongsu.core.units import HOUR_MS, parse_duration_ms
from bongsu.server.api.access import Viewer
from bongsu.server.api.answers import dumped, streamed
from bongsu.server.api.dependencies import SelectionDep, ServicesDep, make_selection
from bongsu.server.api.metrics import series_info
from bongsu.server.api.schemas import ErrorBody, SeriesInfo
from bongsu.server.api.timerange import parse_range
from bongsu.server.errors import error_body
from bongsu.server.fleet.selection import Selection
from bongsu.server.history import Cursor, History, HistoryQuery, Resolution, export
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.groups import parse_grouping
from bongsu.server.storage.archive import TIERS

router = APIRouter(prefix="/api/metrics", tags=["metrics"])


class HistorySeries(SeriesInfo):
    """The points of one series; all lists have the same length."""

    server_id: int | None = Field(description="null for a group of series.")
    aggregation: Aggregation
    members: int = Field(description="How many series it combines; more than 1 only in a group.")
    times: list[int] = Field(description="Unix ms; starts of buckets if there is a `step_ms`.")
    values: list[float | None]
    min: list[float | None] | None = Field(description="Smallest sample of each bucket.")
    max: list[float | None] | None = Field(description="Largest sample of each bucket.")


class MissingStretch(BaseModel):
    """Stored data that cannot be read."""

    server_id: int
    start_ms: int
    end_ms: int
    series: str | None = Field(description="null: all series of this time.")


class HistoryAnswer(BaseModel):
    """The points of the selected series."""

    start_ms: int
    end_ms: int
    resolution: Resolution = Field(description="What the points were made from.")
    step_ms: int | None = Field(description="Length of a bucket; null: samples as they are stored.")
    series: list[HistorySeries]
    missing: list[MissingStretch] = Field(
        description="Damaged parts of the archive, which are missing from the answer."
    )
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


class Format(StrEnum):
    """The format of an answer."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
# The JSON of so much is made at once, in at most 5 ms.
SMALL_POINTS = 50_000
SMALL_SERIES = 200
# A range that ended this long ago changes only by late frames; an answer may then be cached for ten minutes.
_SETTLED_MS = HOUR_MS
_SETTLED_SECONDS = 600
# As many as a dashboard has widgets.
MOST_QUERIES = 60


@router.get(
    "/history",
    operation_id="get_metrics_history",
    summary="Get the history of series",
    response_model=HistoryAnswer,
    responses={
        200: {"content": {media_type: {} for media_type in _MEDIA_TYPES.values()}},
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
    query = _query(
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
    known = (if_none_match or "").strip().removeprefix("W/").strip('"')
    suffix = f"-{format.value}"
    answer = await services.history.run(
        query, user.view(services.registry), known_tag=known.removesuffix(suffix) if known else None
    )
    headers = {"Cache-Control": "private, no-cache"}
    if answer.tag is not None:
        headers["ETag"] = f'"{answer.tag}{suffix}"'
        if query.end_ms < now_ms - _SETTLED_MS:
            headers["Cache-Control"] = f"private, max-age={_SETTLED_SECONDS}"
        if known == answer.tag + suffix:
            return Response(status_code=304, headers=headers)
    response = await _formatted(
        query, answer, format, {record.id: record.agent.name for record in services.registry.records()}
    )
    response.headers.update(headers)
    return response


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
            parsed.append(await _requested(request, now_ms))
        except BongsuError as error:
            parsed.append(error)
    queries = [query for query in parsed if isinstance(query, HistoryQuery)]
    answers = services.history.run_together(queries, user.view(services.registry))
    return StreamingResponse(_answers_json(parsed, answers), media_type="application/json")


async def _requested(request: HistoryRequest, now_ms: int) -> HistoryQuery:
    of_selection = {"server", "name", "retired", "tag", "metric", "type", "labels"}
    selection = await make_selection(**request.model_dump(include=of_selection))
    return _query(selection, now_ms, **request.model_dump(exclude=of_selection))


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


def _query(
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
        _decode_cursor(cursor),
        resolution,
        parse_grouping(across, group_by),
    )


async def _formatted(query: HistoryQuery, answer: History, format: Format, names: dict[int, str]) -> Response:
    if format is Format.JSON:
        points = sum(len(entry.points.times) for entry in answer.series)
        parts = history_json(query, answer)
        if points <= SMALL_POINTS and len(answer.series) <= SMALL_SERIES:
            return Response(b"".join(parts), media_type="application/json")
        return streamed(parts)
    headers = {"Content-Disposition": f'attachment; filename="bongsu-history.{format.value}"'}
    if answer.next is not None:
        headers["Bongsu-Next-Cursor"] = _encode_cursor(answer.next) or ""
    media_type = _MEDIA_TYPES[format]
    if format is Format.CSV:
        return streamed(export.csv(answer, names), media_type, headers)
    write = export.arrow if format is Format.ARROW else export.parquet
    return streamed(iter([await asyncio.to_thread(write, answer, names)]), media_type, headers)


def history_json(query: HistoryQuery, answer: History) -> Iterator[bytes]:
    """The JSON, series by series: orjson lets nothing else run while it writes."""
    head = {
        "start_ms": query.start_ms,
        "end_ms": query.end_ms,
        "resolution": answer.resolution.value,
        "step_ms": answer.step_ms,
        "missing": [
            {"server_id": entry.server_id, "start_ms": entry.start_ms, "end_ms": entry.end_ms, "series": entry.series}
            for entry in answer.missing
        ],
        "next": _encode_cursor(answer.next),
    }
    yield dumped(head).removesuffix(b"}") + b',"series":['
    separator = b""
    for entry in answer.series:
        document = (
            {"server_id": entry.server_id}
            | series_info(entry.series)
            | {
                "aggregation": entry.aggregation.value,
                "members": entry.members,
                "times": entry.points.times,
                "values": entry.points.values,
                "min": entry.points.low,
                "max": entry.points.high,
            }
        )
        yield separator + dumped(document)
        separator = b","
    yield b"]}"


def _encode_cursor(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    parts = [cursor.server_id, cursor.series, cursor.step_ms, cursor.tier]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _decode_cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        server_id, series, step_ms, tier = json.loads(base64.urlsafe_b64decode(text.encode()))
        if not isinstance(server_id, int) or not isinstance(series, str) or tier not in TIERS:
            raise ValueError
        if step_ms is None:
            if tier:
                raise ValueError
        elif not isinstance(step_ms, int) or step_ms < 1_000 or (tier and step_ms % tier):
            raise ValueError
        return Cursor(server_id, series, step_ms, tier)
    except (ValueError, TypeError, binascii.Error):
        raise InvalidInput("cursor must be the `next` of an earlier answer.", field="cursor") from None
