"""GET /api/metrics/history."""

import base64
import binascii
import json
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from bongsu.core.errors import InvalidInput
from bongsu.core.units import HOUR_MS, parse_duration_ms
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import SelectionDep, ServicesDep
from bongsu.server.api.metrics import json_response, series_info
from bongsu.server.api.schemas import SeriesInfo
from bongsu.server.api.timerange import parse_range
from bongsu.server.history import Cursor, History, HistoryQuery, Resolution, export
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.groups import parse_grouping
from bongsu.server.storage.archive import TIERS

router = APIRouter(prefix="/api/metrics", tags=["metrics"])


class HistorySeries(SeriesInfo):
    """The points of one series; the lists are equally long."""

    server_id: int | None = Field(description="null for a group of series.")
    aggregation: Aggregation
    members: int = Field(description="How many series it was made of; more than 1 only in a group.")
    times: list[int] = Field(description="Unix ms; bucket starts where `step_ms` is given.")
    values: list[float | None]
    min: list[float | None] | None = Field(description="Smallest sample of each bucket.")
    max: list[float | None] | None = Field(description="Largest sample of each bucket.")


class MissingStretch(BaseModel):
    """Something that is stored but cannot be read."""

    server_id: int
    start_ms: int
    end_ms: int
    series: str | None = Field(description="null: nothing of this time can be read.")


class HistoryAnswer(BaseModel):
    """Points of the selected series."""

    start_ms: int
    end_ms: int
    resolution: Resolution = Field(description="What the points were made from.")
    step_ms: int | None = Field(description="Length of a bucket; null: the stored samples as they are.")
    series: list[HistorySeries]
    missing: list[MissingStretch] = Field(description="Damaged parts of the archive that the answer lacks.")
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")


class Format(StrEnum):
    """How an answer is written down."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
# A range that ended so long ago changes only by frames that come late; ten minutes is as old as an answer may be then.
_SETTLED_MS = HOUR_MS
_SETTLED_SECONDS = 600


@router.get(
    "/history",
    operation_id="get_metrics_history",
    summary="Samples of a time range",
    response_model=HistoryAnswer,
    responses={
        200: {"content": {media_type: {} for media_type in _MEDIA_TYPES.values()}},
        304: {"description": "As in the answer with the ETag that If-None-Match names."},
    },
)
async def history(
    services: ServicesDep,
    user: Viewer,
    selection: SelectionDep,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -15m, -6h, -7d.")] = "-1h",
    end: Annotated[str, Query(description="As `start`; not included.")] = "now",
    max_points: Annotated[int, Query(ge=2, le=10_000, description="Points per series at most.")] = 500,
    step: Annotated[
        str | None, Query(description="Length of a bucket, such as 1m; chosen by max_points if absent.")
    ] = None,
    aggregation: Annotated[
        Aggregation | None, Query(description="One point a bucket; default avg for gauges, rate (per s) for counters.")
    ] = None,
    resolution: Annotated[
        Resolution | None, Query(description="What to make points from; if absent the coarsest that gives the points.")
    ] = None,
    across: Annotated[
        Aggregation | None,
        Query(description="Make one series of many: avg, min, max, sum, count or a percentile of their points."),
    ] = None,
    group_by: Annotated[
        list[str], Query(description="With `across`: one for each `server`, `tag:NAME` or `label:NAME`.")
    ] = [],
    limit: Annotated[int, Query(ge=1, le=5_000, description="Series on a page.")] = 500,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    format: Annotated[Format, Query(description="arrow: an IPC stream.")] = Format.JSON,
    if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Samples as stored while they fit into `max_points`; else one point a bucket, with the extremes in it.

    Points are made from the coarsest of raw samples, minutes and hours that gives as many as asked for and still is
    there; `resolution` says which. A bucket of a rollup counts whole.
    """
    now_ms = services.clock.now_ms()
    start_ms, end_ms = parse_range(start, end, now_ms)
    step_ms = parse_duration_ms(step, field="step") if step else None
    if step_ms is not None and (step_ms < 1_000 or (end_ms - start_ms) // step_ms > 10_000):
        raise InvalidInput("step must be at least 1s and make at most 10,000 points.", field="step", limit=10_000)
    query = HistoryQuery(
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
    known = (if_none_match or "").strip().removeprefix("W/").strip('"')
    suffix = f"-{format.value}"
    found = await services.history.run(
        query, user.view(services.registry), known_tag=known.removesuffix(suffix) if known else None
    )
    headers = {"Cache-Control": "private, no-cache"}
    if found.tag is not None:
        headers["ETag"] = f'"{found.tag}{suffix}"'
        if end_ms < now_ms - _SETTLED_MS:
            headers["Cache-Control"] = f"private, max-age={_SETTLED_SECONDS}"
        if known == found.tag + suffix:
            return Response(status_code=304, headers=headers)
    response = _written(query, found, format, {one.id: one.agent.name for one in services.registry.records()})
    response.headers.update(headers)
    return response


def _written(query: HistoryQuery, found: History, format: Format, names: dict[int, str]) -> Response:
    if format is Format.JSON:
        return json_response(_document(query, found))
    write = {Format.CSV: export.csv, Format.ARROW: export.arrow, Format.PARQUET: export.parquet}[format]
    headers = {"Content-Disposition": f'attachment; filename="bongsu-history.{format.value}"'}
    if found.next is not None:
        headers["Bongsu-Next-Cursor"] = _encode_cursor(found.next) or ""
    return Response(write(found, names), media_type=_MEDIA_TYPES[format], headers=headers)


def _document(query: HistoryQuery, found: History) -> dict[str, object]:
    return {
        "start_ms": query.start_ms,
        "end_ms": query.end_ms,
        "resolution": found.resolution.value,
        "step_ms": found.step_ms,
        "series": [
            {"server_id": one.server_id}
            | series_info(one.series)
            | {
                "aggregation": one.aggregation.value,
                "members": one.members,
                "times": one.points.times,
                "values": one.points.values,
                "min": one.points.low,
                "max": one.points.high,
            }
            for one in found.series
        ],
        "missing": [
            {"server_id": one.server_id, "start_ms": one.start_ms, "end_ms": one.end_ms, "series": one.series}
            for one in found.missing
        ],
        "next": _encode_cursor(found.next),
    }


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
