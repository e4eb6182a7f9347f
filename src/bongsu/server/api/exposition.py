"""/metrics: what Bongsu tells of itself, and the newest values of its servers, as text for Prometheus and others."""

import asyncio
import math
from collections import Counter, defaultdict
from typing import Annotated, Any

import psutil
from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.routing import Match
from starlette.types import Scope

from bongsu import __version__
from bongsu.core.exposition import (
    OPEN_METRICS,
    TEXT,
    Family,
    Point,
    Type,
    by_label,
    counter,
    gauge,
    lines,
    wants_open_metrics,
)
from bongsu.core.series import Kind
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import RowId, SelectionDep, ServicesDep
from bongsu.server.api.metrics import chosen_samples, current_samples
from bongsu.server.auth.principal import Principal
from bongsu.server.database.job_runs import JobRun, load_job_runs
from bongsu.server.database.space import file_bytes
from bongsu.server.fleet.registry import ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.services import Services
from bongsu.server.storage.backlog import Backlog, backlog

# Label names of Prometheus for service discovery: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
_PATH_LABEL, _SERVER_LABEL = "__metrics_path__", "instance"


class NotForBrowsers(APIRoute):
    """Shares its path with a page of the dashboard: a browser asks for HTML, a scraper does not."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if any(name == b"accept" and b"text/html" in value for name, value in scope["headers"]):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(tags=["metrics"])
_with_page = APIRouter(tags=["metrics"], route_class=NotForBrowsers)

Accept = Annotated[str, Header(include_in_schema=False)]
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {media: {"schema": {"type": "string"}} for media in ("text/plain", "application/openmetrics-text")}
    }
}


@_with_page.get(
    "/metrics",
    operation_id="scrape_bongsu",
    summary="Scrape Bongsu itself",
    response_class=Response,
    responses=_CONTENT,
)
async def own_metrics(services: ServicesDep, user: Viewer, accept: Accept = "") -> Response:
    """What this API server and the worker do, in Prometheus' text format or OpenMetrics, by the Accept header. Servers
    that the caller may not see are not counted."""
    return _answer(await _own(services, user), accept)


@router.get(
    "/api/servers/{server_id}/metrics",
    operation_id="scrape_server",
    summary="Scrape the newest values of a server",
    response_class=Response,
    responses=_CONTENT,
)
async def server_metrics(services: ServicesDep, user: Viewer, server_id: RowId, accept: Accept = "") -> Response:
    """The newest value of each series, with its time, so that Prometheus scrapes a fleet through Bongsu. A server that
    is down has none but `bongsu_server_up`."""
    (state,) = Selection((server_id,)).servers(user.view(services.registry))
    return _answer(await asyncio.to_thread(_of_server, state, services.clock.now_ms()), accept)


class Target(BaseModel):
    """A target of Prometheus' HTTP service discovery."""

    targets: list[str] = Field(examples=[["bongsu.example.com:8600"]])
    labels: dict[str, str] = Field(examples=[{"__metrics_path__": "/api/servers/1/metrics", "instance": "web-1"}])


@router.get("/api/targets", operation_id="list_targets", summary="List servers for Prometheus' service discovery")
async def targets(request: Request, services: ServicesDep, user: Viewer, selection: SelectionDep) -> list[Target]:
    """One target for each selected server, for `http_sd_configs`: its path, its name as `instance`, and its tags as
    labels."""
    return [
        Target(
            targets=[request.url.netloc],
            labels={
                **{f"tag_{name}": text for name, text in sorted(state.record.tags.items())},
                _PATH_LABEL: f"{services.settings.base_path}/api/servers/{state.record.id}/metrics",
                _SERVER_LABEL: state.record.agent.name,
            },
        )
        for state in selection.servers(user.view(services.registry))
    ]


router.include_router(_with_page)


def _answer(families: list[Family], accept: str) -> Response:
    open_metrics = wants_open_metrics(accept)
    text = "".join(lines(families, open_metrics=open_metrics))
    return Response(text, media_type=OPEN_METRICS if open_metrics else TEXT, headers={"Vary": "Accept"})


def _of_server(state: ServerState, now_ms: int) -> list[Family]:
    is_up = state.state_at(now_ms) in ("up", "late")
    families = [gauge("bongsu_server_up", "1: the server sends; 0: it is down or retired.", float(is_up))]
    if not is_up:
        return families
    points: dict[tuple[str, Kind], list[Point]] = defaultdict(list)
    for sample, positions in chosen_samples(current_samples(state), Selection()):
        values = memoryview(sample.frame.values).cast("d")
        for position in positions:
            series, value = sample.layout.series[position], values[position]
            if not math.isnan(value):
                point = Point(value, dict(series.labels), sample.frame.time_ms)
                points[series.metric, series.kind].append(point)
    kinds = {Kind.GAUGE: Type.GAUGE, Kind.COUNTER: Type.COUNTER, Kind.DELTA: Type.GAUGE}
    named: dict[str, Family] = {}
    for (metric, kind), of_metric in sorted(points.items()):
        # Two kinds of one metric: neither format allows that.
        if metric in named:
            of_metric = [*named[metric].points, *of_metric]
        named[metric] = Family(metric, Type.UNKNOWN if metric in named else kinds[kind], of_metric)
    return [*families, *named.values()]


async def _own(services: Services, user: Principal) -> list[Family]:
    def read(connection: Connection) -> tuple[list[JobRun], Backlog, int]:
        return load_job_runs(connection), backlog(connection), file_bytes(connection)

    now_ms = services.clock.now_ms()
    runs, behind, size_bytes = await services.database.read(read)
    process = psutil.Process()
    times = process.cpu_times()
    ingest, live = services.ingest, services.live
    states = Counter[str](state.state_at(now_ms) for state in user.view(services.registry).by_id.values())
    alerts = await services.alerts.state()
    families = [
        gauge("bongsu_build_info", "Always 1.", 1.0, version=__version__),
        counter("process_cpu_seconds_total", "CPU time of this API server.", times.user + times.system),
        gauge("process_resident_memory_bytes", "Memory of this API server.", process.memory_info().rss),
        gauge("process_start_time_seconds", "When this API server started.", services.started_ms / 1000),
        by_label("bongsu_servers", Type.GAUGE, "Servers by state.", "state", states),
        counter("bongsu_ingest_frames_total", "Frames of agents that were stored.", ingest.counters.frames),
        counter("bongsu_ingest_samples_total", "Samples that were stored.", ingest.counters.samples),
        counter("bongsu_ingest_duplicates_total", "Frames that were stored before.", ingest.counters.duplicates),
        _total("bongsu_ingest_rejected", "Refused requests that bring samples.", "code", ingest.counters.rejected),
        _total("bongsu_ingest_samples_refused", "Foreign samples refused.", "code", services.foreign.refused),
        counter(
            "bongsu_ingest_descriptions_dropped_total",
            "Descriptions of metrics that were left out, since there are too many.",
            services.foreign.descriptions.dropped,
        ),
        gauge("bongsu_ingest_queued_bytes", "Values that wait for the disk.", ingest.queued_bytes),
        _total("bongsu_requests_refused", "Refused before an endpoint.", "code", services.refused),
        services.history.durations.family("bongsu_history_query_seconds", "How long history queries took."),
        services.promql.durations.family("bongsu_promql_query_seconds", "How long PromQL queries took."),
        gauge("bongsu_live_clients", "Open live connections.", len(live.clients)),
        gauge("bongsu_live_streams", "Layouts of servers that they watch.", live.streams),
        counter("bongsu_live_messages_total", "Messages sent to them.", live.post.messages),
        counter("bongsu_live_dropped_frames_total", "Frames that slow clients were not sent.", live.dropped_frames),
        gauge("bongsu_database_size_bytes", "The database on disk, without its log.", size_bytes),
        gauge("bongsu_storage_quarantined_frames", "Damaged frames put aside.", behind.quarantined_frames),
        by_label(
            "bongsu_storage_waiting_seconds",
            Type.GAUGE,
            "Age of the oldest foreign sample, frame or block that waits for the worker; 0: none does.",
            "for",
            {
                "assembling": _age(behind.unassembled_since_ms, now_ms),
                "sealing": _age(behind.unsealed_since_ms, now_ms),
                "rollups": _age(behind.unrolled_since_ms, now_ms),
            },
        ),
        by_label(
            "bongsu_job_last_success_timestamp_seconds",
            Type.GAUGE,
            "When each job of the worker last ended well.",
            "job",
            {run.name: run.good_ms / 1000 for run in runs},
        ),
        by_label(
            "bongsu_job_failing_items",
            Type.GAUGE,
            "What each job of the worker cannot process.",
            "job",
            {run.name: run.failing for run in runs},
        ),
    ]
    if alerts is not None:
        families += [
            gauge("bongsu_alerts_waiting_notifications", "Notifications not sent yet.", alerts.queue.waiting),
            gauge("bongsu_alerts_dead_letters", "Notifications given up within a day.", alerts.queue.dead),
            gauge("bongsu_alerts_left_out", "What the last evaluation left out.", len(alerts.skipped)),
            gauge(
                "bongsu_alerts_evaluated_timestamp_seconds",
                "When all servers had last been evaluated; 0: never.",
                (alerts.evaluated_ms or 0) / 1000,
            ),
        ]
    return families


def _total(name: str, text: str, label: str, counts: Counter[str]) -> Family:
    return by_label(f"{name}_total", Type.COUNTER, text, label, dict(counts))


def _age(since_ms: int | None, now_ms: int) -> float:
    return 0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000
