"""When a rule would have fired in stored history: the same functions and the same engine as in life."""

import asyncio

import numpy as np
from pydantic import BaseModel, Field

from bongsu.alerts.conditions import CLOCK_SKEW, Change, Forecast, NoData, ServerDown, Threshold
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fields import ms
from bongsu.alerts.fleet import FORECAST_POINTS, SLACK_MS
from bongsu.alerts.measure import changed, seconds_left
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Move, Readings, SeriesKey, Table
from bongsu.alerts.windows import rolling
from bongsu.arrays import Times, Values
from bongsu.core.buckets import nice_step
from bongsu.core.errors import InvalidInput
from bongsu.core.liveness import DOWN_AFTER, LATE_AFTER
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.history import HistoryQuery, HistoryReader
from bongsu.server.history.aggregation import Aggregation

LONGEST_MS = 31 * DAY_MS
MOST_LOOKS = 1_500
# A fit of 72 points at each of 1,500 looks takes a second or so for 20 series.
MOST_FORECAST_LOOKS = 200
MOST_SERIES = 500
MOST_SAMPLES = 10_000
MOST_FIRINGS = 1_000


class Firing(BaseModel):
    """An alert that there would have been."""

    server_id: int
    server_name: str
    series: str
    since_ms: int = Field(description="When the condition began to hold.")
    fired_ms: int
    resolved_ms: int | None = Field(description="null: it would still fire at the end.")
    value: float | None = Field(description="When it fired.")


class Preview(BaseModel):
    """What a rule would have done."""

    start_ms: int
    end_ms: int
    step_ms: int = Field(description="How often it looked.")
    series: int = Field(description="How many series it looked at.")
    firings: list[Firing] = Field(description="By time, at most 1,000.")
    count: int = Field(description="All of them.")
    warnings: list[str]


Column = tuple[Times, Values]


async def run_preview(
    history: HistoryReader, registry: Registry, rule: Rule, start_ms: int, end_ms: int, warnings: list[str]
) -> Preview:
    """Raises InvalidInput for a range or a rule that is too large to look back with."""
    condition = rule.condition
    if end_ms - start_ms > LONGEST_MS:
        raise InvalidInput("A preview looks back over 31 days at most.", field="start", limit=31)
    if rule.series_condition is not None and rule.series_condition.metric == CLOCK_SKEW:
        warnings.append("Clock skew is measured live and not stored: there is nothing to look back at.")
    looks = MOST_FORECAST_LOOKS if isinstance(condition, Forecast) else MOST_LOOKS
    step_ms = nice_step(end_ms - start_ms, looks, at_least_ms=10_000)
    ends = np.arange(start_ms - start_ms % step_ms + step_ms, end_ms + 1, step_ms, dtype=np.int64)
    states = {
        number: state
        for number, state in registry.by_id.items()
        if rule.scope.covers(number, state.record.agent.name, state.record.tags)
    }
    columns = await _columns(history, registry, rule, states, start_ms, end_ms, warnings)
    firings = await asyncio.to_thread(_look_back, rule, columns, states, ends)
    return Preview(
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        series=len(columns),
        firings=firings[:MOST_FIRINGS],
        count=len(firings),
        warnings=warnings,
    )


async def _columns(
    reader: HistoryReader,
    registry: Registry,
    rule: Rule,
    states: dict[int, ServerState],
    start_ms: int,
    end_ms: int,
    warnings: list[str],
) -> dict[SeriesKey, Column]:
    condition = rule.condition
    # One series that every agent sends tells when its server was there.
    metric = "system_uptime_seconds" if isinstance(condition, ServerDown) else condition.metric
    found: dict[SeriesKey, Column] = {}
    for number in states:
        if len(found) > MOST_SERIES:
            raise InvalidInput(
                f"A preview looks at {MOST_SERIES} series at most. Narrow the scope.",
                code="too_many_series",
                field="rule.scope",
                limit=MOST_SERIES,
            )
        selection = Selection((number,), frozenset([metric]))
        query = HistoryQuery(
            selection, start_ms - _back_ms(rule), end_ms, MOST_SAMPLES, None, Aggregation.LAST, MOST_SERIES
        )
        history = await reader.run(query, registry)
        if history.step_ms is not None:
            note = f"Over this range samples of {history.step_ms // 1000} s were looked at, not each one."
            if note not in warnings:
                warnings.append(note)
        for one in history.series:
            if isinstance(condition, ServerDown):
                found[SeriesKey(number, "")] = np.asarray(one.points.times), np.asarray(one.points.values)
            elif rule.selects(one.series):
                found[SeriesKey(number, str(one.series))] = np.asarray(one.points.times), np.asarray(one.points.values)
    return found


def _back_ms(rule: Rule) -> int:
    condition = rule.condition
    if isinstance(condition, Threshold):
        return ms(condition.window)
    if isinstance(condition, Change):
        return ms(condition.window) + ms(condition.over)
    if isinstance(condition, Forecast):
        return ms(condition.history)
    return ms(condition.after) if isinstance(condition, NoData) else HOUR_MS


def _look_back(
    rule: Rule, columns: dict[SeriesKey, Column], states: dict[int, ServerState], ends: Times
) -> list[Firing]:
    keys = list(columns)
    if not keys:
        return []
    steps = np.array([states[key.server_id].interval_ms for key in keys], np.int64)
    values = np.stack([_values(rule, *columns[key], ends) for key in keys], axis=1)
    newest = np.stack([_newest(columns[key][0], ends) for key in keys], axis=1)
    policy = Policy.of(rule)
    thresholds, recoveries = _limits(rule, steps)
    spread = np.array([np.median(np.diff(times)) if len(times) > 1 else 0 for times, _ in columns.values()])
    slack = np.maximum(steps, spread) * LATE_AFTER + SLACK_MS + np.diff(ends, prepend=ends[0])[-1]
    table = Table.of(keys, int(ends[0]))
    open_firings: dict[SeriesKey, Firing] = {}
    firings = []
    for index, end in enumerate(ends.tolist()):
        fresh = end - newest[index] <= slack
        if isinstance(rule.condition, ServerDown | NoData):
            fresh = newest[index] > 0
        readings = Readings(values[index], fresh, np.ones(len(keys), np.bool_), thresholds, recoveries)
        table, moves = advance(policy, table, readings, end)
        for move in moves:
            if move.move is Move.FIRED:
                value = move.value if np.isfinite(move.value) else None
                firing = Firing(
                    server_id=move.key.server_id,
                    server_name=states[move.key.server_id].record.agent.name,
                    series=move.key.series,
                    since_ms=move.since_ms,
                    fired_ms=end,
                    resolved_ms=None,
                    value=value,
                )
                open_firings[move.key] = firing
                firings.append(firing)
            elif move.move is Move.RESOLVED and move.key in open_firings:
                open_firings.pop(move.key).resolved_ms = end
    return firings


def _limits(rule: Rule, steps: Times) -> tuple[Values, Values]:
    condition = rule.condition
    ones = np.ones(len(steps))
    if isinstance(condition, ServerDown):
        return (DOWN_AFTER * steps + ms(condition.grace)) / 1000, LATE_AFTER * steps / 1000
    if isinstance(condition, NoData):
        return ones * ms(condition.after) / 1000, ones * ms(condition.after) / 1000
    if isinstance(condition, Forecast):
        return ones * ms(condition.within) / 1000, ones * condition.recovery_ms / 1000
    return ones * condition.value, ones * (condition.value if condition.recovery is None else condition.recovery)


def _newest(times: Times, ends: Times) -> Times:
    """(m,) the time of the last sample at or before each end; 0 before the first."""
    place = np.searchsorted(times, ends, side="right")
    return np.where(place > 0, np.append(times, 0)[place - 1], 0)


def _values(rule: Rule, times: Times, values: Values, ends: Times) -> Values:
    condition = rule.condition
    if isinstance(condition, ServerDown | NoData):
        newest = _newest(times, ends)
        return np.where(newest > 0, (ends - newest) / 1000, np.nan)
    if isinstance(condition, Forecast):
        return _forecast(condition, times, values, ends)
    found = rolling(times, values, condition.function, ms(condition.window), ends)
    if isinstance(condition, Change):
        before = rolling(times, values, condition.function, ms(condition.window), ends - ms(condition.over))
        found = changed(found, before, relative=condition.relative)
    return found


def _forecast(condition: Forecast, times: Times, values: Values, ends: Times) -> Values:
    """As in life: at most 72 points of the history, one a spacing."""
    spacing_ms = max(1, ms(condition.history) // FORECAST_POINTS)
    _, first = np.unique(times // spacing_ms, return_index=True)
    times, values = times[first], values[first]
    place = np.searchsorted(times, ends, side="right")[None, :] + np.arange(-FORECAST_POINTS, 0)[:, None]
    inside = place >= 0
    clipped = np.clip(place, 0, max(0, len(times) - 1))
    if not len(times):
        return np.full(len(ends), np.nan)
    return seconds_left(condition, np.where(inside, times[clipped], 0), np.where(inside, values[clipped], np.nan))
