"""Reads what helps to understand an alert, for messages and the API: trend, containers, processes, chart."""

import asyncio
from functools import partial

import numpy as np
from sqlalchemy import Connection

from bongsu.alerts.alert import Alert
from bongsu.alerts.chart import draw
from bongsu.alerts.conditions import Change, Forecast, PromQLCondition, ServerDown, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.forecast import fit
from bongsu.alerts.message import Explanation, format_value
from bongsu.alerts.rules import Rule
from bongsu.alerts.watched import BONGSU
from bongsu.core.errors import BongsuError
from bongsu.core.series import Kind
from bongsu.core.units import HOUR_MS
from bongsu.server.alerts.culprits import containers_of, processes_of
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.selection import Selection
from bongsu.server.fleet.servers import load_servers
from bongsu.server.history import HistoryQuery, HistoryReader, SeriesHistory
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.storage.layouts import load_layouts

CHART_POINTS = 240


class Explainer:
    """Reads explanations. History that cannot be read is left out, so that a message is sent in any case."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def explain(self, alert: Alert, rule: Rule, zone: str, now_ms: int, *, chart: bool = True) -> Explanation:
        """Explains an alert as of the time it fired, or as of its end once it is resolved. ``zone``: for the chart."""
        at_ms = alert.resolved_ms or alert.fired_ms or alert.since_ms
        processes, processes_ms = await self._database.read(partial(processes_of, alert=alert, at_ms=at_ms))
        containers, containers_ms = await self._database.read(partial(containers_of, alert=alert, at_ms=at_ms))
        history = await self._history(alert, rule, now_ms)
        trend, picture = None, None
        if history is not None:
            trend = _trend(history)
            if chart:
                picture = await asyncio.to_thread(
                    draw,
                    np.asarray(history.points.times),
                    np.asarray(history.points.values),
                    threshold=_chart_threshold(alert, rule),
                    since_ms=alert.since_ms,
                    zone=zone,
                    format_value=lambda value: format_value(value, history.series.unit),
                )
        return Explanation(
            history.series.unit if history else "",
            trend,
            processes,
            processes_ms,
            picture,
            containers,
            containers_ms,
        )

    async def _history(self, alert: Alert, rule: Rule, now_ms: int) -> SeriesHistory | None:
        condition = rule.condition
        if isinstance(condition, ServerDown | PromQLCondition) or not alert.series or alert.server_id == BONGSU:
            return None
        length_ms = HOUR_MS
        if isinstance(condition, Threshold):
            length_ms = max(length_ms, 3 * ms(condition.window) + ms(rule.for_))
        elif isinstance(condition, Change):
            length_ms = max(length_ms, 2 * ms(condition.over))
        elif isinstance(condition, Forecast):
            length_ms = ms(condition.history)
        end_ms = min(now_ms, alert.resolved_ms or now_ms) + 1
        registry = await self._database.read(lambda connection: _load_server(connection, alert.server_id))
        query = HistoryQuery(
            Selection((alert.server_id,), frozenset([condition.metric])), end_ms - length_ms, end_ms, CHART_POINTS
        )
        try:
            history = await HistoryReader(self._database, self._limits, DecodedRows()).run(query, registry)
        except BongsuError:
            return None
        return next((part for part in history.series if str(part.series) == alert.series), None)


def _chart_threshold(alert: Alert, rule: Rule) -> float | None:
    """The threshold on the scale of the charted metric; None if the rule compares something else."""
    condition = rule.condition
    if isinstance(condition, Forecast):
        return condition.value
    if isinstance(condition, Threshold) and condition.function not in ("sum", "increase") and condition.per is None:
        return alert.threshold
    return None


def _load_server(connection: Connection, server_id: int) -> Registry:
    """A registry of one server, with what reading its history needs."""
    registry = Registry()
    for record in load_servers(connection):
        if record.id == server_id:
            state = registry.add(record)
            for layout in load_layouts(connection, server_id).get(server_id, ()):
                state.add_layout(layout)
    return registry


def _trend(history: SeriesHistory) -> float | None:
    """Change per hour, by a robust line through the second half of the chart; None: unknown."""
    if history.series.kind is Kind.COUNTER and history.aggregation is not Aggregation.RATE:
        return None
    half = len(history.points.times) // 2
    times = np.asarray(history.points.times)[half:][-72:, None]
    values = np.asarray(history.points.values)[half:][-72:, None]
    slope = float(fit(times, values, robust=True)[0][0])
    return slope * HOUR_MS if np.isfinite(slope) else None
