"""GET /api/metrics/current and /api/metrics/catalog. POST /api/metrics is in ``server/ingest``."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from bongsu.arrays import Flags, Values, growth
from bongsu.core.samples import Frame
from bongsu.core.series import Kind, Layout, Series, family_of
from bongsu.server.api.access import Viewer
from bongsu.server.api.answers import dumped, streamed
from bongsu.server.api.dependencies import SelectionDep, ServicesDep
from bongsu.server.api.schemas import SeriesInfo
from bongsu.server.fleet.registry import ServerState
from bongsu.server.fleet.selection import Selection

router = APIRouter(prefix="/api/metrics", tags=["metrics"])

# As many as the event loop looks at in 3 ms.
SERVERS_AT_A_TIME = 200


class CurrentSeries(SeriesInfo):
    """The newest sample of a series."""

    value: float | None
    rate: float | None = Field(description="Growth per second between the last two frames; only for counters.")


class CurrentServer(BaseModel):
    """The newest samples of a server."""

    server_id: int
    time_ms: int = Field(description="Time of the newest frame.")
    series: list[CurrentSeries]


class Current(BaseModel):
    """The newest samples."""

    time_ms: int = Field(description="The clock of the API server.")
    servers: list[CurrentServer]


def series_info(series: Series) -> dict[str, object]:
    return {
        "metric": series.metric,
        "labels": dict(series.labels),
        "type": family_of(series.metric),
        "unit": series.unit,
        "kind": series.kind.value,
    }


class Sample(NamedTuple):
    """The newest frame of a layout and its predecessor. Nothing changes them, so that a thread may read them."""

    layout: Layout
    frame: Frame
    before: Frame | None


@router.get("/current", operation_id="get_current_metrics", summary="Get the newest samples", response_model=Current)
async def current(
    services: ServicesDep,
    user: Viewer,
    selection: SelectionDep,
) -> Response:
    """Returns the newest sample of every selected series, also of servers that are down; `time_ms` tells its age."""
    servers: list[tuple[int, list[Sample]]] = []
    for state in selection.servers(user.view(services.registry)):
        servers.append((state.record.id, current_samples(state)))
        if len(servers) % SERVERS_AT_A_TIME == 0:
            await asyncio.sleep(0)
    return streamed(current_json(services.clock.now_ms(), servers, selection))


def current_samples(state: ServerState) -> list[Sample]:
    """The newest samples of a server, to be taken on the event loop."""
    # A series of a layout that is no longer sent is not current. Others are sampled less often than most.
    return [
        Sample(state.layouts[layout_id], newest.frame, newest.before)
        for layout_id, newest in state.newest.items()
        if state.is_current(layout_id)
    ]


def current_json(now_ms: int, servers: list[tuple[int, list[Sample]]], selection: Selection) -> Iterator[bytes]:
    """The JSON of the selected series of these servers, in pieces."""
    yield b'{"time_ms":%d,"servers":[' % now_ms
    separator = b""
    for server_id, samples in servers:
        chosen = list(chosen_samples(samples, selection))
        if chosen:
            newest_ms = max(sample.frame.time_ms for sample, _ in chosen)
            yield b'%s{"server_id":%d,"time_ms":%d,"series":[' % (separator, server_id, newest_ms)
            yield b",".join(entry for sample, positions in chosen for entry in _entries(sample, positions))
            yield b"]}"
            separator = b","
    yield b"]}"


def chosen_samples(samples: list[Sample], selection: Selection) -> Iterator[tuple[Sample, tuple[int, ...]]]:
    """The samples of a server that hold selected series, and the positions of these, each series once."""
    seen: set[Series] = set()
    # If a series has moved to another layout, its newer value counts.
    for sample in sorted(samples, key=lambda sample: sample.frame.time_ms, reverse=True):
        positions = selection.positions(sample.layout)
        if len(samples) > 1:
            positions = tuple(position for position in positions if sample.layout.series[position] not in seen)
            seen.update(sample.layout.series[position] for position in positions)
        if positions:
            yield sample, positions


def numbers_of(sample: Sample, positions: tuple[int, ...]) -> tuple[Values, Values]:
    """The values of some series, and the growth per second of those that are counters (NaN for others)."""
    counters = _heads(sample.layout, positions)[1]
    chosen = list(positions)
    values = np.frombuffer(sample.frame.values, "<f8")[chosen]
    rates = np.full(len(values), np.nan)
    if sample.before is not None:
        seconds = (sample.frame.time_ms - sample.before.time_ms) / 1000
        before = np.frombuffer(sample.before.values, "<f8")[chosen]
        with np.errstate(invalid="ignore", over="ignore"):  # agents may send infinity
            rates = np.where(counters, np.maximum(growth(before, values), 0.0) / seconds, np.nan)
    return values, rates


def _entries(sample: Sample, positions: tuple[int, ...]) -> list[bytes]:
    """The JSON of some series. orjson writes all numbers at once: 150 series in 0.1 ms, as objects 0.5 ms."""
    heads = _heads(sample.layout, positions)[0]
    numbers = [dumped(column)[1:-1].split(b",") for column in numbers_of(sample, positions)]
    return [b'%s,"value":%s,"rate":%s}' % entry for entry in zip(heads, *numbers, strict=True)]


@lru_cache(4_096)
def _heads(layout: Layout, positions: tuple[int, ...]) -> tuple[list[bytes], Flags]:
    """What does not change of the JSON of some series, and which of them are counters."""
    series = [layout.series[position] for position in positions]
    return [_head(one) for one in series], np.array([one.kind is Kind.COUNTER for one in series], bool)


@lru_cache(65_536)
def _head(series: Series) -> bytes:
    return dumped(series_info(series)).removesuffix(b"}")


class CatalogMetric(BaseModel):
    """A metric, and the labels of its series."""

    metric: str = Field(examples=["filesystem_used_bytes"])
    type: str = Field(description="The family: cpu, memory, disk, network, ...", examples=["disk"])
    unit: str
    kind: Kind
    series: int = Field(description="Number of series on all selected servers.")
    servers: int = Field(description="Number of servers that have it.")
    labels: dict[str, list[str]] = Field(
        description="Label name to its values, sorted; at most 100 values for each name.",
        examples=[{"mountpoint": ["/", "/srv"]}],
    )


class Catalog(BaseModel):
    """All metrics."""

    metrics: list[CatalogMetric]


CATALOG_VALUES = 100


@router.get(
    "/catalog",
    operation_id="get_metrics_catalog",
    summary="List metrics with labels, units and kinds",
    response_model=Catalog,
)
async def catalog(
    services: ServicesDep,
    user: Viewer,
    selection: SelectionDep,
) -> Response:
    """Lists every metric of which anything of the selected servers is stored, ordered by name."""
    servers = [list(state.layouts.values()) for state in selection.servers(user.view(services.registry))]
    return streamed(_catalog(servers, selection))


@dataclass(slots=True)
class _Listed:
    """A metric of the catalog. ``first``: the first of its series."""

    first: Series
    series: int = 0
    servers: int = 0
    labels: dict[str, set[str]] = field(default_factory=dict)


def _catalog(servers: list[list[Layout]], selection: Selection) -> Iterator[bytes]:
    by_metric: dict[str, _Listed] = {}
    for layouts in servers:
        members = {layout.series[position]: None for layout in layouts for position in selection.positions(layout)}
        for member in members:
            listed = by_metric.get(member.metric)
            if listed is None:
                listed = by_metric[member.metric] = _Listed(member)
            listed.series += 1
            for name, value in member.labels:
                listed.labels.setdefault(name, set()).add(value)
        for metric in {member.metric for member in members}:
            by_metric[metric].servers += 1
    yield b'{"metrics":['
    separator = b""
    for metric, listed in sorted(by_metric.items()):
        entry = CatalogMetric(
            metric=metric,
            type=family_of(metric),
            unit=listed.first.unit,
            kind=listed.first.kind,
            series=listed.series,
            servers=listed.servers,
            labels={name: sorted(values)[:CATALOG_VALUES] for name, values in sorted(listed.labels.items())},
        )
        yield separator + entry.model_dump_json().encode()
        separator = b","
    yield b"]}"
