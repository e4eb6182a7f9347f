"""What a rule measures of the fleet: one number a series, beside its threshold."""

import numpy as np

from bongsu.alerts.conditions import Change, Forecast, NoData, ServerDown, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.fleet import FORECAST_POINTS, SLACK_MS, Fleet, Segment, Watch
from bongsu.alerts.forecast import fit, time_left_ms
from bongsu.alerts.state import Readings
from bongsu.arrays import Flags, Times, Values
from bongsu.core.liveness import DOWN_AFTER, LATE_AFTER


def measure(fleet: Fleet, number: int, now_ms: int) -> Readings:
    """What the series of a rule say now, in the order of its watch's keys."""
    watch = fleet.watches[number]
    condition = watch.rule.condition
    alive, steps = fleet.alive[watch.server_places], fleet.steps[watch.server_places]
    if isinstance(condition, ServerDown):
        always = np.ones(len(watch.keys), np.bool_)
        limits = (DOWN_AFTER * steps + ms(condition.grace)) / 1000
        return Readings((now_ms - alive) / 1000, always, always, limits, LATE_AFTER * steps / 1000)
    return _of_series(watch, condition, now_ms - alive > DOWN_AFTER * steps, now_ms)


def _of_series(watch: Watch, condition: Threshold | Change | Forecast | NoData, silent: Flags, now_ms: int) -> Readings:
    count = len(watch.keys)
    newest, ready = _column(watch, "newest"), _column(watch, "ready").astype(np.bool_)
    known = ready & ~silent
    if isinstance(condition, NoData):
        ages = np.where(newest > 0, (now_ms - newest) / 1000, np.nan)
        limits = np.full(count, ms(condition.after) / 1000)
        return Readings(ages, np.ones(count, np.bool_), known, limits, limits)
    # Of a track that is thinned the newest sample may be older.
    spacings = [np.full(len(one.tracks), one.ring.spacing_ms) for one in watch.segments]
    fresh = now_ms - newest <= _column(watch, "interval") * LATE_AFTER + SLACK_MS + _joined(spacings)
    if isinstance(condition, Forecast):
        values = _forecast(watch, condition, newest)
        value, recovery = ms(condition.within) / 1000, condition.recovery_ms / 1000
    else:
        # The window ends with the newest sample where a server's clock is ahead.
        values = _reduced(condition, watch.segments, np.maximum(now_ms, newest))
        value = condition.value
        recovery = value if condition.recovery is None else condition.recovery
    return Readings(values, fresh, known, np.full(count, value), np.full(count, recovery))


def _joined(parts: list[Times]) -> Times:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _column(watch: Watch, name: str) -> Times:
    return _joined([getattr(segment.ring, name)[segment.tracks] for segment in watch.segments])


def _slices(segments: list[Segment]) -> list[slice]:
    ends = np.cumsum([len(segment.tracks) for segment in segments], dtype=int).tolist()
    return [slice(end - len(segment.tracks), end) for end, segment in zip(ends, segments, strict=True)]


def _forecast(watch: Watch, condition: Forecast, newest: Times) -> Values:
    if watch.fitted is None or watch.left is None:
        watch.fitted, watch.left = np.zeros(len(newest), np.int64), np.full(len(newest), np.nan)
    for segment, mine in zip(watch.segments, _slices(watch.segments), strict=True):
        moved = newest[mine] != watch.fitted[mine]
        if moved.any():
            times, values = segment.ring.in_order(segment.tracks[moved])
            watch.left[mine][moved] = seconds_left(condition, times, values)
            watch.fitted[mine] = newest[mine]
    return watch.left


def _reduced(condition: Threshold | Change, segments: list[Segment], ends: Times) -> Values:
    parts: list[Values] = [np.zeros(0)]
    window_ms = ms(condition.window)
    for segment, mine in zip(segments, _slices(segments), strict=True):
        values = segment.ring.reduce(segment.tracks, condition.function, window_ms, ends[mine])
        if isinstance(condition, Change):
            over_ms = ms(condition.over)
            before = segment.ring.reduce(segment.tracks, condition.function, window_ms, ends[mine] - over_ms)
            values = changed(values, before, relative=condition.relative)
        parts.append(values)
    return np.concatenate(parts)


def changed(values: Values, before: Values, *, relative: bool) -> Values:
    """How much values differ from what they were; relative to nothing there is no number."""
    difference = values - before
    if not relative:
        return difference
    shares: Values = np.divide(difference, np.abs(before), out=np.full(len(values), np.nan), where=before != 0)
    return shares


def seconds_left(condition: Forecast, times: Times, values: Values) -> Values:
    """(n,) until the forecast's value is reached, of (W, n) samples, oldest first."""
    slopes, heights = fit(times, values, condition.fit == "robust")
    last = values[-1]
    left = time_left_ms(slopes, heights, last, condition.value, upward=condition.operator.upward) / 1000
    spans = times[-1] - np.where(times > 0, times, times[-1]).min(axis=0)
    # A line through less than half of the history is no trend.
    left = np.where(spans * 2 >= ms(condition.history) - ms(condition.history) // FORECAST_POINTS, left, np.nan)
    if condition.only_from is not None:
        past = last >= condition.only_from if condition.operator.upward else last <= condition.only_from
        left = np.where(np.isnan(left) | past, left, np.inf)
    return left
