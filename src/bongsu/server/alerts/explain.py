"""What is found out about an alert when it is told, or looked at: trend, processes, chart."""

import asyncio

import numpy as np
from sqlalchemy import Connection

from bongsu.alerts.alert import Alert
from bongsu.alerts.chart import draw
from bongsu.alerts.conditions import Change, Forecast, ServerDown, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.forecast import fit
from bongsu.alerts.message import MOST_PROCESSES, Explanation, format_value
from bongsu.alerts.rules import Rule
from bongsu.core.errors import BongsuError
from bongsu.core.series import Kind
from bongsu.core.units import HOUR_MS
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.selection import Selection
from bongsu.server.fleet.servers import load_servers
from bongsu.server.history import HistoryQuery, HistoryReader, SeriesHistory
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.storage.layouts import load_layouts
from bongsu.server.storage.processes import processes_at

CHART_POINTS = 240
# A process list is taken once a minute; one that is older was of another moment.
LIST_AGE_MS = 300_000


class Explainer:
    """Reads what explains an alert. Whatever cannot be read is left out: the message goes all the same."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def explain(self, alert: Alert, rule: Rule, zone: str, now_ms: int, *, chart: bool = True) -> Explanation:
        """At the moment it fired; once it is over, at its end."""
        at_ms = alert.resolved_ms or alert.fired_ms or alert.since_ms
        snapshot = await self._database.read(lambda connection: processes_at(connection, alert.server_id, at_ms))
        listed = snapshot.processes
        if listed is not None and at_ms - listed.time_ms > LIST_AGE_MS:
            listed = None
        by = (lambda one: -one.memory_bytes) if "memory" in alert.series else (lambda one: -one.cpu_ratio)
        processes = sorted(listed.processes, key=by)[:MOST_PROCESSES] if listed else []
        found = await self._history(alert, rule, now_ms)
        trend, picture = None, None
        if found is not None:
            trend = _trend(found)
            if chart:
                threshold = alert.threshold if isinstance(rule.condition, Threshold) else None
                if isinstance(rule.condition, Forecast):
                    threshold = rule.condition.value
                if isinstance(rule.condition, Threshold) and rule.condition.function in ("sum", "increase"):
                    threshold = None
                picture = await asyncio.to_thread(
                    draw,
                    np.asarray(found.points.times),
                    np.asarray(found.points.values),
                    threshold=threshold,
                    since_ms=alert.since_ms,
                    zone=zone,
                    format_value=lambda value: format_value(value, found.series.unit),
                )
        return Explanation(
            found.series.unit if found else "", trend, processes, listed.time_ms if listed else None, picture
        )

    async def _history(self, alert: Alert, rule: Rule, now_ms: int) -> SeriesHistory | None:
        condition = rule.condition
        if isinstance(condition, ServerDown) or not alert.series:
            return None
        length_ms = HOUR_MS
        if isinstance(condition, Threshold):
            length_ms = max(length_ms, 3 * ms(condition.window) + ms(rule.for_))
        elif isinstance(condition, Change):
            length_ms = max(length_ms, 2 * ms(condition.over))
        elif isinstance(condition, Forecast):
            length_ms = ms(condition.history)
        end_ms = min(now_ms, alert.resolved_ms or now_ms) + 1
        registry = await self._database.read(lambda connection: one_server(connection, alert.server_id))
        query = HistoryQuery(
            Selection((alert.server_id,), frozenset([condition.metric])), end_ms - length_ms, end_ms, CHART_POINTS
        )
        try:
            history = await HistoryReader(self._database, self._limits).run(query, registry)
        except BongsuError:
            return None
        return next((one for one in history.series if str(one.series) == alert.series), None)


def one_server(connection: Connection, server_id: int) -> Registry:
    """A registry of one server, as far as reading its history needs it."""
    registry = Registry()
    for record in load_servers(connection):
        if record.id == server_id:
            state = registry.add(record)
            for layout in load_layouts(connection, server_id).get(server_id, ()):
                state.add_layout(layout)
    return registry


def _trend(found: SeriesHistory) -> float | None:
    """Change in an hour, by a robust line through the last half of what is shown."""
    if found.series.kind is Kind.COUNTER and found.aggregation is not Aggregation.RATE:
        return None
    half = len(found.points.times) // 2
    times = np.asarray(found.points.times)[half:][-72:, None]
    values = np.asarray(found.points.values)[half:][-72:, None]
    slope = float(fit(times, values, robust=True)[0][0])
    return slope * HOUR_MS if np.isfinite(slope) else None
