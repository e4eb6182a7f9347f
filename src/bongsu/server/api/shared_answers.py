"""The answers that a shared dashboard is made of, with everything hidden that its link hides."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from bongsu.alerts.alert import Alert
from bongsu.core.series import Kind
from bongsu.server.alerts.queries.alerts import active_alerts
from bongsu.server.api.answers import dumped
from bongsu.server.api.history_answers import history_json
from bongsu.server.api.metrics import (
    SERVERS_AT_A_TIME,
    Sample,
    chosen_samples,
    current_json,
    current_samples,
    numbers_of,
    series_info,
)
from bongsu.server.dashboards.queries import StoredDashboard
from bongsu.server.dashboards.redaction import PURPOSE, Redactor
from bongsu.server.dashboards.shares import Share
from bongsu.server.dashboards.shown import ShownWidget, shown_widgets
from bongsu.server.dashboards.widgets import AlertsWidget, ServersWidget
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.history import HistoryQuery
from bongsu.server.history.aggregation import Aggregation, Points
from bongsu.server.history.groups import Groups
from bongsu.server.history.query import Grouping, SeriesHistory
from bongsu.server.services import Services


@dataclass(frozen=True, slots=True)
class OpenedShare:
    """A share whose link was used. ``registry``: the servers that its maker may see."""

    share: Share
    stored: StoredDashboard
    registry: Registry
    # Answers to the same key are the same.
    key: tuple[int, int, int]

    def redactor(self, services: Services) -> Redactor:
        """Hides also the names of servers that are not shown: a text may name them."""
        names = {record.id: record.agent.name for record in services.registry.records()}
        return Redactor(self.share.redact, names, services.vault.key(PURPOSE))


async def history_answer(
    services: Services, opened: OpenedShare, shown: ShownWidget, range_ms: int, points: int, earlier_ms: int
) -> bytes:
    """The JSON of a HistoryAnswer of a widget, of a range that ended ``earlier_ms`` ago."""
    end_ms = services.clock.now_ms() - earlier_ms
    query = HistoryQuery(shown.selection, end_ms - range_ms, end_ms, points, limit=shown.lines, grouping=shown.grouping)
    answer = await services.history.run(query, opened.registry)
    redactor = opened.redactor(services)

    def write() -> bytes:
        document = orjson.loads(b"".join(history_json(query, answer)))
        redactor.all_labels(document)
        # Both name series. Whoever has the link asks for no other page, and sees only that there would be one.
        document |= {"missing": [], "next": document["next"] and "more"}
        return dumped(document)

    return await asyncio.to_thread(write)


@dataclass(frozen=True, slots=True)
class _Now:
    """What a widget shows now: the servers that it selects, and their newest samples."""

    shown: ShownWidget
    servers: list[ServerState]
    samples: list[tuple[int, list[Sample]]]

    def document(self, now_ms: int) -> dict[str, Any]:
        """A SharedWidget. May take long."""
        ids = [state.record.id for state in self.servers] if self.shown.names_servers else []
        if self.shown.grouping is not None:
            return {"servers": ids, "current": [], "groups": self._groups(self.shown.grouping)}
        current = orjson.loads(b"".join(current_json(now_ms, self.samples, self.shown.selection)))["servers"]
        return {"servers": ids, "current": current, "groups": []}

    def _groups(self, grouping: Grouping) -> list[dict[str, Any]]:
        """Combined as histories are, each series a history of one point."""
        groups = Groups(grouping, {state.record.id: state.record.tags for state in self.servers})
        for server_id, samples in self.samples:
            for sample, positions in chosen_samples(samples, self.shown.selection):
                for position, value, rate in zip(positions, *numbers_of(sample, positions), strict=True):
                    series = sample.layout.series[position]
                    point = np.array([rate if series.kind is Kind.COUNTER else value])
                    if np.isfinite(point[0]):
                        points = Points(np.zeros(1, np.int64), point)
                        groups.add_all([SeriesHistory(server_id, series, Aggregation.LAST, points)])
        return [
            series_info(group.series)
            | {"value": group.points.values[0], "min": group.points.low[0], "max": group.points.high[0]}
            for group in groups.combined()
            if group.points.low is not None and group.points.high is not None
        ]


async def _now(shown: ShownWidget, registry: Registry) -> _Now:
    now = _Now(shown, [], [])
    for state in shown.selection.servers(registry):
        now.servers.append(state)
        if shown.source:
            now.samples.append((state.record.id, current_samples(state)))
        if len(now.servers) % SERVERS_AT_A_TIME == 0:
            await asyncio.sleep(0)
    return now


async def present_answer(services: Services, opened: OpenedShare) -> bytes:
    """The JSON of a SharedPresent."""
    now_ms, redactor = services.clock.now_ms(), opened.redactor(services)
    dashboard = opened.stored.dashboard
    parts = {widget_id: await _now(shown, opened.registry) for widget_id, shown in shown_widgets(dashboard).items()}
    named = {state.record.id: state for part in parts.values() if part.shown.names_servers for state in part.servers}
    servers = [
        {
            "id": server_id,
            "name": redactor.server(server_id),
            "state": state.state_at(now_ms),
            "interval_ms": state.record.agent.interval_ms,
        }
        for server_id, state in sorted(named.items())
    ]
    alerts: list[dict[str, Any]] = []
    if any(isinstance(widget, ServersWidget | AlertsWidget) for widget in dashboard.widgets):
        active = await services.database.read(active_alerts)
        alerts = [_alert(alert, redactor) for alert in active if alert.state == "firing" and alert.server_id in named]

    def write() -> bytes:
        widgets = {widget_id: part.document(now_ms) for widget_id, part in parts.items()}
        redactor.all_labels(widgets)
        return dumped({"time_ms": now_ms, "servers": servers, "alerts": alerts, "widgets": widgets})

    return await asyncio.to_thread(write)


def _alert(alert: Alert, redactor: Redactor) -> dict[str, Any]:
    return {
        "id": alert.id,
        "rule_name": redactor.text(alert.rule_name),
        "severity": alert.severity,
        "priority": alert.priority,
        "server_id": alert.server_id,
        "server_name": redactor.server(alert.server_id),
        "series": redactor.series(alert.series),
        "since_ms": alert.since_ms,
        "fired_ms": alert.fired_ms,
    }
