"""Previews a rule: runs it over stored history, with the same functions and engine as the evaluation."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from pydantic import BaseModel, Field

from bongsu.alerts.conditions import (
    COMPUTED,
    Change,
    Comparison,
    Forecast,
    NoData,
    PromQLCondition,
    ServerDown,
    Threshold,
)
from bongsu.alerts.cycle import finite_or_none
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fields import ms
from bongsu.alerts.measure import answered, change_from, compared, operand_function, seconds_left, thresholds_of
from bongsu.alerts.notes import Code, Note, note
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Further, Move, Readings, SeriesKey, Table
from bongsu.alerts.watched import SLACK_MS
from bongsu.alerts.watches import FORECAST_POINTS, by_labels, operand_metrics, operands_of
from bongsu.alerts.windows import rolling
from bongsu.arrays import Times, Values
from bongsu.core.buckets import nice_step
from bongsu.core.errors import InvalidInput
from bongsu.core.liveness import LATE_AFTER
from bongsu.core.series import Kind, Layout
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.alerts.promql_rules import check_named, covered, keys_and_values, names_in
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.history import HistoryQuery, HistoryReader
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.promql.engine import PromQL, PromQuery

LONGEST_MS = 31 * DAY_MS
MOST_EVALUATIONS = 1_500
# For 20 series, fitting 72 points at each of 1,500 evaluations takes about a second.
MOST_FORECAST_EVALUATIONS = 200
MOST_SERIES = 500
MOST_SAMPLES = 10_000
MOST_FIRINGS = 1_000


class Firing(BaseModel):
    """An alert that the rule would have fired."""

    server_id: int
    server_name: str
    series: str
    since_ms: int = Field(description="When the condition began to hold.")
    fired_ms: int
    resolved_ms: int | None = Field(description="null: it would still be firing at the end.")
    value: float | None = Field(description="The value when it fired.")


class Preview(BaseModel):
    """The alerts that a rule would have fired."""

    start_ms: int
    end_ms: int
    step_ms: int = Field(description="The time between evaluations.")
    series: int = Field(description="The number of series that the rule covers.")
    firings: list[Firing] = Field(description="In the order of time; at most 1,000.")
    count: int = Field(description="The number of all firings.")
    warnings: list[str]
    notes: list[Note] = Field(description="The warnings, for translation.")


Column = tuple[Times, Values]


@dataclass(frozen=True, slots=True)
class Watched:
    """The samples of a series, and of what its rule reads besides it."""

    times: Times
    values: Values
    operands: Sequence[tuple[Kind, Column]] = ()


async def run_preview(
    history: HistoryReader,
    promql: PromQL,
    registry: Registry,
    rule: Rule,
    start_ms: int,
    end_ms: int,
    warnings: list[Note],
) -> Preview:
    """Runs a preview, and adds warnings of its own to ``warnings``.

    Raises:
        InvalidInput: the range is too long, or the rule covers too many series.
    """
    condition = rule.condition
    if end_ms - start_ms > LONGEST_MS:
        raise InvalidInput("A preview can cover at most 31 days.", field="start", limit=31)
    if rule.series_condition is not None and rule.series_condition.metric in COMPUTED:
        warnings.append(note(Code.NOT_STORED, metric=rule.series_condition.metric))
    evaluations = MOST_FORECAST_EVALUATIONS if isinstance(condition, Forecast) else MOST_EVALUATIONS
    step_ms = nice_step(end_ms - start_ms, evaluations, at_least_ms=10_000)
    ends = np.arange(start_ms - start_ms % step_ms + step_ms, end_ms + 1, step_ms, dtype=np.int64)
    states = covered(registry, rule.scope).by_id
    if isinstance(condition, PromQLCondition):
        count, firings = await _ask(promql, registry, rule, ends)
    else:
        columns = await _columns(history, registry, rule, states, start_ms, end_ms, warnings)
        count, firings = len(columns), await asyncio.to_thread(_find_firings, rule, columns, states, ends)
    return Preview(
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        series=count,
        firings=firings[:MOST_FIRINGS],
        count=len(firings),
        warnings=[warning.text for warning in warnings],
        notes=warnings,
    )


async def _columns(
    reader: HistoryReader,
    registry: Registry,
    rule: Rule,
    states: dict[int, ServerState],
    start_ms: int,
    end_ms: int,
    warnings: list[Note],
) -> dict[SeriesKey, Watched]:
    condition = rule.condition
    assert not isinstance(condition, PromQLCondition)
    # For server_down: a series that every agent sends shows when its server was up.
    if isinstance(condition, ServerDown):
        metrics = frozenset(["system_uptime_seconds"])
    else:
        metrics = frozenset([condition.metric, *operand_metrics(condition)])
    columns: dict[SeriesKey, Watched] = {}
    for server_id in states:
        if len(columns) > MOST_SERIES:
            raise InvalidInput(
                f"A preview can cover at most {MOST_SERIES} series. Narrow the scope.",
                code="too_many_series",
                field="rule.scope",
                limit=MOST_SERIES,
            )
        selection = Selection((server_id,), metrics)
        query = HistoryQuery(
            selection, start_ms - _back_ms(rule), end_ms, MOST_SAMPLES, None, Aggregation.LAST, MOST_SERIES
        )
        history = await reader.run(query, registry)
        if history.step_ms is not None:
            warning = note(Code.PREVIEW_THINNED, step_seconds=history.step_ms / 1000)
            if warning not in warnings:
                warnings.append(warning)
        read = {part.series: (np.asarray(part.points.times), np.asarray(part.points.values)) for part in history.series}
        candidates = by_labels(metrics, [Layout.of(tuple(read))])
        for series, column in read.items():
            if isinstance(condition, ServerDown):
                columns[SeriesKey(server_id, "")] = Watched(*column)
            elif rule.selects(series):
                operands = operands_of(condition, series, candidates)
                if operands is not None:
                    columns[SeriesKey(server_id, str(series))] = Watched(
                        *column, [(operand.kind, read[operand]) for operand, _ in operands]
                    )
    return columns


def _back_ms(rule: Rule) -> int:
    """How far before the range the first evaluation looks back."""
    condition = rule.condition
    assert not isinstance(condition, PromQLCondition)
    if isinstance(condition, Threshold):
        return max(ms(comparison.window) for comparison in condition.comparisons)
    if isinstance(condition, Change):
        return ms(condition.window) + ms(condition.over)
    if isinstance(condition, Forecast):
        return ms(condition.history)
    return ms(condition.after) if isinstance(condition, NoData) else HOUR_MS


def _find_firings(
    rule: Rule, columns: dict[SeriesKey, Watched], states: dict[int, ServerState], ends: Times
) -> list[Firing]:
    keys = list(columns)
    if not keys:
        return []
    steps = np.array([states[key.server_id].interval_ms for key in keys], np.int64)
    each = [_values(rule, columns[key], ends) for key in keys]
    values = np.stack([own for own, _ in each], axis=1)
    newest = np.stack([_newest(columns[key].times, ends) for key in keys], axis=1)
    thresholds, recoveries = thresholds_of(rule.condition, steps)
    spread = np.array(
        [np.median(np.diff(watched.times)) if len(watched.times) > 1 else 0 for watched in columns.values()]
    )
    slack = np.maximum(steps, spread) * LATE_AFTER + SLACK_MS + np.diff(ends, prepend=ends[0])[-1]
    names = {server_id: state.record.agent.name for server_id, state in states.items()}

    def readings(index: int, end: int) -> Readings:
        fresh = end - newest[index] <= slack
        if isinstance(rule.condition, ServerDown | NoData):
            fresh = newest[index] > 0
        further = [
            replace(parts[0], values=np.array([part.values[index] for part in parts]))
            for parts in zip(*(further for _, further in each), strict=True)
        ]
        return Readings(values[index], fresh, np.ones(len(keys), np.bool_), thresholds, recoveries, slack, further)

    return _fired(rule, keys, names, ends, readings)


async def _ask(promql: PromQL, registry: Registry, rule: Rule, ends: Times) -> tuple[int, list[Firing]]:
    """The number of series of a PromQL rule, and its firings."""
    condition = rule.condition
    assert isinstance(condition, PromQLCondition)
    asked, step_ms = covered(registry, rule.scope), int(np.diff(ends[:2], append=ends[-1])[0]) or 1
    answer = await promql.run(PromQuery(condition.query, int(ends[0]), int(ends[-1]), step_ms), asked)
    rows = list(keys_and_values(answer, names_in(asked)))
    check_named(key for key, _, _ in rows)
    if len(rows) > MOST_SERIES:
        raise InvalidInput(
            f"A preview can cover at most {MOST_SERIES} series. Narrow the scope.",
            code="too_many_series",
            field="rule.scope",
            limit=MOST_SERIES,
        )
    values = {key: np.where(present, column, np.nan) for key, present, column in rows if key is not None}
    keys, table = list(values), np.array(list(values.values()))
    thresholds, recoveries = thresholds_of(condition, np.zeros(len(keys), np.int64))
    lasts = np.full(len(keys), 2 * step_ms, np.int64)

    def readings(index: int, _end: int) -> Readings:
        return replace(answered(condition, table[:, index], thresholds, recoveries), lasts=lasts)

    names = {server_id: state.record.agent.name for server_id, state in asked.by_id.items()}
    return len(keys), await asyncio.to_thread(_fired, rule, keys, names, ends, readings) if keys else []


def _fired(
    rule: Rule,
    keys: list[SeriesKey],
    names: Mapping[int, str],
    ends: Times,
    readings: Callable[[int, int], Readings],
) -> list[Firing]:
    """The firings of a rule. ``readings``: of each evaluation, by its number and time."""
    policy, table = Policy.of(rule), Table.of(keys, int(ends[0]))
    open_firings: dict[SeriesKey, Firing] = {}
    firings = []
    for index, end in enumerate(ends.tolist()):
        table, transitions = advance(policy, table, readings(index, end), end)
        for transition in transitions:
            key = transition.key
            if transition.move is Move.FIRED:
                firing = Firing(
                    server_id=key.server_id,
                    server_name=names[key.server_id],
                    series=key.series,
                    since_ms=transition.since_ms,
                    fired_ms=end,
                    resolved_ms=None,
                    value=finite_or_none(transition.value),
                )
                open_firings[key] = firing
                firings.append(firing)
            elif transition.move is Move.RESOLVED and key in open_firings:
                open_firings.pop(key).resolved_ms = end
    return firings


def _newest(times: Times, ends: Times) -> Times:
    """(m,) the time of the last sample at or before each end; 0 if there is none."""
    place = np.searchsorted(times, ends, side="right")
    return np.where(place > 0, np.append(times, 0)[place - 1], 0)


def _values(rule: Rule, watched: Watched, ends: Times) -> tuple[Values, list[Further]]:
    condition, times, values = rule.condition, watched.times, watched.values
    assert not isinstance(condition, PromQLCondition)
    if isinstance(condition, ServerDown | NoData):
        newest = _newest(times, ends)
        return np.where(newest > 0, (ends - newest) / 1000, np.nan), []
    if isinstance(condition, Forecast):
        return _forecast(condition, times, values, ends), []
    results = rolling(times, values, condition.function, ms(condition.window), ends)
    if isinstance(condition, Change):
        before = rolling(times, values, condition.function, ms(condition.window), ends - ms(condition.over))
        return change_from(before, results, relative=condition.relative), []

    def operand(kind: Kind, column: Column, comparison: Comparison, is_divisor: bool) -> Values:
        function = operand_function(comparison.function, kind, is_divisor)
        return rolling(*column, function, ms(comparison.window), ends)

    return compared(condition, results, [partial(operand, kind, column) for kind, column in watched.operands])


def _forecast(condition: Forecast, times: Times, values: Values, ends: Times) -> Values:
    """As the evaluation does it: with at most 72 points of the history, one per spacing."""
    spacing_ms = max(1, ms(condition.history) // FORECAST_POINTS)
    _, first = np.unique(times // spacing_ms, return_index=True)
    times, values = times[first], values[first]
    place = np.searchsorted(times, ends, side="right")[None, :] + np.arange(-FORECAST_POINTS, 0)[:, None]
    inside = place >= 0
    clipped = np.clip(place, 0, max(0, len(times) - 1))
    if not len(times):
        return np.full(len(ends), np.nan)
    return seconds_left(condition, np.where(inside, times[clipped], 0), np.where(inside, values[clipped], np.nan))
