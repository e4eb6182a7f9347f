"""GET /api/metrics/current and /api/metrics/history. POST /api/metrics is in ``bongsu.server.ingest``."""

import base64
import binascii
import json
import math
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from bongsu.core.errors import InvalidInput
from bongsu.core.samples import unpack
from bongsu.core.series import Kind, Series, family_of
from bongsu.core.units import parse_duration_ms
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.schemas import SeriesInfo
from bongsu.server.auth.access import require
from bongsu.server.auth.principal import Principal, Role
from bongsu.server.columns import Aggregation
from bongsu.server.history import Cursor, History, HistoryQuery, HistoryReader
from bongsu.server.registry import ServerState
from bongsu.server.selection import Selection, parse_labels
from bongsu.server.timerange import parse_range

router = APIRouter(prefix="/api/metrics", tags=["metrics"])

ServerQuery = Annotated[list[int], Query(description="Server ids; all servers when left out.")]
MetricQuery = Annotated[list[str], Query(description="Metric names, such as `cpu_usage_ratio`.")]
TypeQuery = Annotated[list[str], Query(description="Families: cpu, memory, disk, network, ...")]
LabelsQuery = Annotated[list[str], Query(description="`name=value`, such as `device=eth0`; all of them must match.")]


class CurrentSeries(SeriesInfo):
    """The newest sample of a series."""

    value: float | None
    rate: float | None = Field(description="Growth per second over the last two frames; counters only.")


class CurrentServer(BaseModel):
    """The newest samples of a server."""

    server_id: int
    time_ms: int = Field(description="Time of the newest frame.")
    series: list[CurrentSeries]


class Current(BaseModel):
    """The newest samples."""

    time_ms: int = Field(description="The API server's clock.")
    servers: list[CurrentServer]


class HistorySeries(SeriesInfo):
    """The points of one series; the lists are equally long."""

    server_id: int
    aggregation: Aggregation
    times: list[int] = Field(description="Unix ms; bucket starts where `step_ms` is given.")
    values: list[float | None]
    min: list[float | None] | None = Field(description="Smallest sample of each bucket.")
    max: list[float | None] | None = Field(description="Largest sample of each bucket.")


class HistoryAnswer(BaseModel):
    """Points of the selected series."""

    start_ms: int
    end_ms: int
    resolution: Literal["raw", "1m", "1h"] = Field(description="What the points were made from.")
    step_ms: int | None = Field(description="Length of a bucket; null: the stored samples as they are.")
    series: list[HistorySeries]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")


def _info(series: Series) -> dict[str, object]:
    return {
        "metric": series.metric,
        "labels": dict(series.labels),
        "type": family_of(series.metric),
        "unit": series.unit,
        "kind": series.kind.value,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _current(state: ServerState, selection: Selection) -> dict[str, object] | None:
    found: dict[Series, tuple[int, dict[str, object]]] = {}
    for layout_id, newest in state.newest.items():
        layout = state.layouts[layout_id]
        positions = selection.positions(layout)
        if not positions:
            continue
        values = unpack(newest.frame.values)
        before = unpack(newest.before.values) if newest.before is not None else None
        seconds = (newest.frame.time_ms - newest.before.time_ms) / 1000 if newest.before is not None else 0.0
        for position in positions:
            series = layout.series[position]
            # A series that moved to another layout: the newer one counts.
            if series in found and found[series][0] >= newest.frame.time_ms:
                continue
            value = values[position]
            rate = None
            if series.kind is Kind.COUNTER and before is not None:
                grown = value - before[position]
                rate = _finite((value if grown < 0 else grown) / seconds)
            found[series] = newest.frame.time_ms, _info(series) | {"value": _finite(value), "rate": rate}
    if not found:
        return None
    time_ms = max(time_ms for time_ms, _ in found.values())
    # A series that left the newest layout is not current any more.
    oldest_ms = time_ms - 3 * state.interval_ms
    series_list = [entry for at_ms, entry in found.values() if at_ms >= oldest_ms]
    return {"server_id": state.record.id, "time_ms": time_ms, "series": series_list}


def json_response(document: object) -> Response:
    """JSON without a pass through pydantic. orjson reads numpy arrays as they are, and writes NaN and infinity as null.

    24,000 points: 2 ms; 13 ms with the json module.
    """
    return Response(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@router.get("/current", operation_id="get_current_metrics", summary="The newest samples", response_model=Current)
async def current(
    services: ServicesDep,
    user: Annotated[Principal, Depends(require(Role.viewer))],
    server: ServerQuery = [],  # noqa: B006
    metric: MetricQuery = [],  # noqa: B006
    type: TypeQuery = [],  # noqa: B006
    labels: LabelsQuery = [],  # noqa: B006
) -> Response:
    """The newest sample of every selected series. Also for servers that are down: `time_ms` tells the age."""
    selection = Selection(tuple(server), frozenset(metric), frozenset(type), parse_labels(labels))
    found = [_current(state, selection) for state in selection.servers(user.view(services.registry))]
    return json_response({"time_ms": services.clock.now_ms(), "servers": [one for one in found if one is not None]})


@router.get(
    "/history", operation_id="get_metrics_history", summary="Samples of a time range", response_model=HistoryAnswer
)
async def history(
    services: ServicesDep,
    user: Annotated[Principal, Depends(require(Role.viewer))],
    server: ServerQuery = [],  # noqa: B006
    metric: MetricQuery = [],  # noqa: B006
    type: TypeQuery = [],  # noqa: B006
    labels: LabelsQuery = [],  # noqa: B006
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -15m, -6h, -7d.")] = "-1h",
    end: Annotated[str, Query(description="As `start`; not included.")] = "now",
    max_points: Annotated[int, Query(ge=2, le=10_000, description="Points per series at most.")] = 500,
    step: Annotated[
        str | None, Query(description="Length of a bucket, such as 1m; chosen by max_points if absent.")
    ] = None,
    aggregation: Annotated[
        Aggregation | None, Query(description="One point a bucket; default avg for gauges, rate (per s) for counters.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=5_000, description="Series on a page.")] = 500,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """Samples as stored while they fit into `max_points`; else one point a bucket, with the extremes in it."""
    now_ms = services.clock.now_ms()
    start_ms, end_ms = parse_range(start, end, now_ms)
    step_ms = parse_duration_ms(step, field="step") if step else None
    if step_ms is not None and (step_ms < 1_000 or (end_ms - start_ms) // step_ms > 10_000):
        raise InvalidInput("step must be at least 1s and make at most 10,000 points.", field="step", limit=10_000)
    query = HistoryQuery(
        Selection(tuple(server), frozenset(metric), frozenset(type), parse_labels(labels)),
        start_ms,
        end_ms,
        max_points,
        step_ms,
        aggregation,
        limit,
        _decode_cursor(cursor),
    )
    found = await HistoryReader(services.database, user.view(services.registry), services.settings.limits).run(query)
    return json_response(_history(query, found))


def _history(query: HistoryQuery, found: History) -> dict[str, object]:
    return {
        "start_ms": query.start_ms,
        "end_ms": query.end_ms,
        "resolution": found.resolution,
        "step_ms": found.step_ms,
        "series": [
            {"server_id": one.server_id}
            | _info(one.series)
            | {
                "aggregation": one.aggregation.value,
                "times": one.points.times,
                "values": one.points.values,
                "min": one.points.low,
                "max": one.points.high,
            }
            for one in found.series
        ],
        "next": _encode_cursor(found.next),
    }


def _encode_cursor(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([cursor.server_id, cursor.series, cursor.step_ms]).encode()).decode()


def _decode_cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        server_id, series, step_ms = json.loads(base64.urlsafe_b64decode(text.encode()))
        if not isinstance(server_id, int) or not isinstance(series, str) or not (step_ms is None or step_ms >= 1_000):
            raise ValueError
        return Cursor(server_id, series, step_ms)
    except (ValueError, TypeError, binascii.Error):
        raise InvalidInput("cursor must be the `next` of an earlier answer.", field="cursor") from None
