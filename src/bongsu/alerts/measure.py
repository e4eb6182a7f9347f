"""Measures the series that a rule watches: a value and a threshold for each."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bongsu.alerts.conditions import (
    Change,
    Comparison,
    Condition,
    Forecast,
    Function,
    NoData,
    PromQLCondition,
    SeriesCondition,
    ServerDown,
    Threshold,
)
from bongsu.alerts.fields import ms
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.forecast import fit, time_left_ms
from bongsu.alerts.state import Further, Readings
from bongsu.alerts.watched import SLACK_MS
from bongsu.alerts.watches import FORECAST_POINTS, OperandSegment, Segment, Watch
from bongsu.arrays import Flags, Times, Values
from bongsu.core.liveness import LATE_AFTER, LEAST_SILENCE_MS
from bongsu.core.series import Kind


def measure(fleet: Fleet, rule_id: int, now_ms: int) -> Readings:
    """The readings of a rule at ``now_ms``, in the order of its watch's keys."""
    watch = fleet.watches[rule_id]
    condition, places = watch.rule.condition, watch.server_places
    silences, steps = now_ms - fleet.alive[places], fleet.steps[places]
    thresholds, recoveries = thresholds_of(condition, steps)
    if isinstance(condition, ServerDown):
        # Before the first frame, a short silence is no evidence that the server is up.
        known = fleet.heard[places] | (silences / 1000 > thresholds)
        always = np.ones(len(watch.keys), np.bool_)
        return Readings(silences / 1000, always, known, thresholds, recoveries, LATE_AFTER * steps + SLACK_MS)
    if isinstance(condition, PromQLCondition):
        return answered(condition, watch.answer, thresholds, recoveries, deaf=fleet.deaf)
    silent = (silences > down_after(steps)) | fleet.deaf
    return _measure_series(watch, condition, silent, now_ms - fleet.shifts[places], now_ms, (thresholds, recoveries))


def answered(
    condition: PromQLCondition, values: Values, thresholds: Values, recoveries: Values, *, deaf: bool = False
) -> Readings:
    """The readings of a PromQL condition. ``values``: (n,), NaN: not in the answer; without a threshold, that ends the
    breach. ``deaf``: no API server runs, so nothing new can be in the answer."""
    always = np.ones(len(values), np.bool_)
    if condition.value is None:
        values = np.where(np.isnan(values), -np.inf, values)
    known = np.full(len(values), not deaf)
    return Readings(values, always, known, thresholds, recoveries, np.zeros(len(values), np.int64))


def down_after(steps: Times) -> Times:
    """``core.liveness.down_after_ms`` of each."""
    return np.maximum(LATE_AFTER * steps, LEAST_SILENCE_MS)


def thresholds_of(condition: Condition, steps: Times) -> tuple[Values, Values]:
    """(n,) thresholds and recovery thresholds for servers with these intervals in ms."""
    ones = np.ones(len(steps))
    match condition:
        case ServerDown():
            return (down_after(steps) + ms(condition.grace)) / 1000, LATE_AFTER * steps / 1000
        case NoData():
            threshold = recovery = ms(condition.after) / 1000
        case PromQLCondition() if condition.value is None:
            threshold = recovery = -np.inf
        case PromQLCondition():
            threshold = condition.value or 0.0
            recovery = threshold if condition.recovery is None else condition.recovery
        case Forecast():
            threshold, recovery = ms(condition.within) / 1000, condition.recovery_ms / 1000
        case _:
            threshold = condition.value
            recovery = threshold if condition.recovery is None else condition.recovery
    return ones * threshold, ones * recovery


def _measure_series(
    watch: Watch,
    condition: SeriesCondition,
    silent: Flags,
    clocks: Times,
    now_ms: int,
    thresholds: tuple[Values, Values],
) -> Readings:
    """``clocks``: (n,) what the clocks of the servers show now."""
    newest, ready = _column(watch, "newest"), _column(watch, "ready").astype(np.bool_)
    known = ready & ~silent
    for segments in watch.operands:
        for operand in segments:
            known[operand.places] &= operand.ring.ready[operand.tracks]
    # In a ring with a spacing the newest sample may be older by that spacing.
    spacings = [np.full(len(segment.tracks), segment.ring.spacing_ms) for segment in watch.segments]
    lasts = _column(watch, "interval") * LATE_AFTER + SLACK_MS + _joined(spacings)
    if isinstance(condition, NoData):
        arrived = _column(watch, "arrived")
        ages = np.where(arrived > 0, (now_ms - arrived) / 1000, np.nan)
        # Before the first sample, a short silence is no evidence that there are samples.
        known &= _column(watch, "live").astype(np.bool_) | (ages > thresholds[0])
        return Readings(ages, np.ones(len(watch.keys), np.bool_), known, *thresholds, lasts)
    fresh, ends = clocks - newest <= lasts, np.maximum(clocks, newest)
    if isinstance(condition, Forecast):
        return Readings(_forecast(watch, condition, newest), fresh, known, *thresholds, lasts)
    values = _reduced(condition, watch.segments, ends)
    further: list[Further] = []
    if isinstance(condition, Threshold):
        operands = [partial(_operand, segments, ends) for segments in watch.operands]
        values, further = compared(condition, values, operands)
    return Readings(values, fresh, known, *thresholds, lasts, further)


def compared(
    condition: Threshold, values: Values, operands: Sequence[Callable[[Comparison, bool], Values]]
) -> tuple[Values, list[Further]]:
    """The values that a threshold compares, and what must hold as well. ``values``: of its own series. ``operands``:
    reduce each of the condition's operands for a comparison, in which it is the divisor or not."""
    left = iter(operands)

    def divided(comparison: Comparison, dividends: Values) -> Values:
        if comparison.per is None:
            return dividends
        divisors = next(left)(comparison, True)
        ratios: Values = np.divide(dividends, divisors, out=np.full(len(dividends), np.nan), where=divisors != 0)
        return ratios

    values = divided(condition, values)
    further = [
        Further(
            comparison.operator,
            divided(comparison, next(left)(comparison, False)),
            comparison.value,
            comparison.value if comparison.recovery is None else comparison.recovery,
        )
        for comparison in condition.and_
    ]
    return values, further


def operand_function(function: Function, kind: Kind, is_divisor: bool) -> Function:
    """A divisor is reduced as what it divides, but nobody means the growth of a gauge such as the number of cores."""
    growing = function in (Function.RATE, Function.INCREASE)
    return Function.LAST if is_divisor and growing and kind is Kind.GAUGE else function


def _operand(segments: list[OperandSegment], ends: Times, comparison: Comparison, is_divisor: bool) -> Values:
    values = np.full(len(ends), np.nan)
    for segment in segments:
        function = operand_function(comparison.function, segment.kind, is_divisor)
        places = segment.places
        values[places] = segment.ring.reduce(segment.tracks, function, ms(comparison.window), ends[places])
    return values


def _joined(parts: list[Times]) -> Times:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _column(watch: Watch, name: str) -> Times:
    return _joined([getattr(segment.ring, name)[segment.tracks] for segment in watch.segments])


def _slices(segments: list[Segment]) -> list[slice]:
    ends = np.cumsum([len(segment.tracks) for segment in segments], dtype=int).tolist()
    return [slice(end - len(segment.tracks), end) for end, segment in zip(ends, segments, strict=True)]


def _forecast(watch: Watch, condition: Forecast, newest: Times) -> Values:
    if watch.fitted is None or watch.seconds_left is None:
        watch.fitted, watch.seconds_left = np.zeros(len(newest), np.int64), np.full(len(newest), np.nan)
    for segment, part in zip(watch.segments, _slices(watch.segments), strict=True):
        changed = newest[part] != watch.fitted[part]
        if changed.any():
            times, values = segment.ring.in_order(segment.tracks[changed])
            watch.seconds_left[part][changed] = seconds_left(condition, times, values)
            watch.fitted[part] = newest[part]
    return watch.seconds_left


def _reduced(condition: Threshold | Change, segments: list[Segment], ends: Times) -> Values:
    parts: list[Values] = [np.zeros(0)]
    window_ms = ms(condition.window)
    for segment, part in zip(segments, _slices(segments), strict=True):
        values = segment.ring.reduce(segment.tracks, condition.function, window_ms, ends[part])
        if isinstance(condition, Change):
            over_ms = ms(condition.over)
            before = segment.ring.reduce(segment.tracks, condition.function, window_ms, ends[part] - over_ms)
            values = change_from(before, values, relative=condition.relative)
        parts.append(values)
    return np.concatenate(parts)


def change_from(before: Values, values: Values, *, relative: bool) -> Values:
    """The change from ``before`` to ``values``. ``relative``: as a ratio to ``before``, NaN where that is 0."""
    difference = values - before
    if not relative:
        return difference
    ratios: Values = np.divide(difference, np.abs(before), out=np.full(len(values), np.nan), where=before != 0)
    return ratios


def seconds_left(condition: Forecast, times: Times, values: Values) -> Values:
    """(n,) seconds until the forecast's value is reached, of (W, n) samples, oldest first."""
    slopes, heights = fit(times, values, condition.fit == "robust")
    last = values[-1]
    left = time_left_ms(slopes, heights, last, condition.value, upward=condition.operator.upward) / 1000
    spans = times[-1] - np.where(times > 0, times, times[-1]).min(axis=0)
    # Samples over less than half of the history are not a trend.
    left = np.where(spans * 2 >= ms(condition.history) - ms(condition.history) // FORECAST_POINTS, left, np.nan)
    if condition.only_from is not None:
        past = last >= condition.only_from if condition.operator.upward else last <= condition.only_from
        left = np.where(np.isnan(left) | past, left, np.inf)
    return left
