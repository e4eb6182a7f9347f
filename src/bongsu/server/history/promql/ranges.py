"""Functions of range vectors: what each makes of the samples in a window.

The rules are those of Prometheus 3 (https://prometheus.io/docs/prometheus/latest/querying/functions/).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bongsu.arrays import Flags, Indices, Times, Values
from bongsu.server.history.promql.syntax import invalid
from bongsu.server.history.promql.values import LaidOut, Windows

# (series, steps) values, and which of them there are.
Outcome = tuple[Values, Flags]


def _last(windows: Windows, back: int = 1) -> Indices:
    """The place of the last sample of each window, or of one before it; any place where there is none."""
    return np.clip(windows.last - back, 0, max(len(windows.samples.values) - 1, 0))


def _first(windows: Windows) -> Indices:
    return np.clip(windows.first, 0, max(len(windows.samples.values) - 1, 0))


def _take(array: Values, places: Indices) -> Values:
    return array[places] if len(array) else np.zeros(places.shape)


def _seconds(windows: Windows, later: Indices, earlier: Indices) -> Values:
    times = windows.samples.times
    return (times[later] - times[earlier]) / 1000 if len(times) else np.zeros(later.shape)


def _falls(windows: Windows) -> Indices:
    """The places of the samples that are smaller than the one before them in their series."""
    values = windows.samples.values
    falls = np.flatnonzero(values[1:] < values[:-1]) + 1
    return falls[~np.isin(falls, windows.samples.bounds)]


def _inside(windows: Windows, places: Indices) -> tuple[Indices, Indices]:
    """Which of these places, ascending, lie in a window after its first sample: half open."""
    inside = np.searchsorted(places, np.stack((windows.first + 1, np.maximum(windows.last, windows.first + 1))))
    return inside[0], inside[1]


def _lost(windows: Windows) -> Values:
    """What counters lost by resets within each window."""
    falls = _falls(windows)
    lost = np.zeros(windows.first.shape)
    if not len(falls):
        return lost
    before = windows.samples.values[falls - 1]
    first, last = _inside(windows, falls)
    places = np.stack((first.ravel(), last.ravel()), axis=1).ravel()
    sums = np.add.reduceat(np.append(before, 0.0), places)[::2].reshape(lost.shape)
    return np.where(last > first, sums, 0.0)


def _extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> Outcome:
    """The growth within each window, extrapolated to its ends: ``extrapolatedRate`` in Prometheus' functions.go.

    To an end that is nearer than 1.1 times the mean distance of the samples, growth is extrapolated to it, otherwise by
    half of that distance; of a counter not further back than to where it would have been 0.
    """
    first, last, counts = _first(windows), _last(windows), windows.counts
    present = counts >= 2
    values, times = windows.samples.values, windows.samples.times
    grown = _take(values, last) - _take(values, first)
    if counter:
        grown = grown + _lost(windows)
    if not len(times):
        return grown, present
    starts_ms = windows.ends_ms - windows.range_ms
    to_start, to_end = (times[first] - starts_ms) / 1000, (windows.ends_ms - times[last]) / 1000
    sampled = _seconds(windows, last, first)
    apart = sampled / np.maximum(counts - 1, 1)
    to_start = np.where(to_start >= apart * 1.1, apart / 2, to_start)
    if counter:
        begun = _take(values, first)
        to_zero = np.where((grown > 0) & (begun >= 0), sampled * (begun / grown), to_start)
        to_start = np.where(to_zero < to_start, to_zero, to_start)
    to_end = np.where(to_end >= apart * 1.1, apart / 2, to_end)
    factor = np.where(sampled != 0, (sampled + to_start + to_end) / sampled, 1.0)
    if per_second:
        factor = factor / (windows.range_ms / 1000)
    return grown * factor, present


def _instant(windows: Windows, *, counter: bool) -> Outcome:
    """The growth from the last sample but one to the last; of counters per second."""
    last, before = _last(windows), _last(windows, 2)
    later, earlier = _take(windows.samples.values, last), _take(windows.samples.values, before)
    present = windows.counts >= 2
    if not counter:
        return later - earlier, present
    grown = np.where(later < earlier, later, later - earlier)
    return grown / _seconds(windows, last, before), present


def _average(windows: Windows) -> Outcome:
    counts = windows.counts
    mean = windows.reduced(np.add, windows.samples.values) / np.maximum(counts, 1)
    over = np.isinf(mean)
    if over.any():  # the sum may be beyond what a float holds when the mean is not
        small = windows.reduced(np.add, windows.samples.values / 1024) / np.maximum(counts, 1) * 1024
        mean = np.where(over, small, mean)
    return mean, counts > 0


def _changes(windows: Windows) -> Outcome:
    values = windows.samples.values
    differ = (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    first, last = _inside(windows, np.flatnonzero(differ) + 1)
    return (last - first).astype(np.float64), windows.counts > 0


def _resets(windows: Windows) -> Outcome:
    values = windows.samples.values
    first, last = _inside(windows, np.flatnonzero(values[1:] < values[:-1]) + 1)
    return (last - first).astype(np.float64), windows.counts > 0


def _laid_out(windows: Windows, at_least: int, compute: Callable[[LaidOut], Values]) -> Outcome:
    """Applies a function that needs the samples of each window side by side."""
    result = np.zeros(windows.first.shape)
    flat = result.ravel()
    for part in windows.laid_out(at_least):
        with np.errstate(all="ignore"):
            flat[part.windows] = compute(part)
    return result, windows.counts >= at_least


def _variance(part: LaidOut) -> Values:
    # From the first value: of equal values the variance is 0, whatever is lost in their sum.
    apart = part.values - part.spread(part.values[part.starts])
    mean = part.sums(apart) / part.lengths
    variance: Values = part.sums(np.square(apart - part.spread(mean))) / part.lengths
    return variance


def _quantiles(part: LaidOut, values: Values, share: Values) -> Values:
    """(w,): linear between the two nearest ranks; NaN is less than all numbers. ``share``: (w,)."""
    missing = np.isnan(values)
    order = np.lexsort((np.where(missing, 0.0, values), ~missing, part.spread(np.arange(len(part.windows)))))
    ranked = values[order]
    return between_ranks(lambda rank: ranked[part.starts + rank], part.lengths, share)


def between_ranks(ranked: Callable[[Indices], Values], counts: Indices, share: Values) -> Values:
    """A quantile, linear between the two nearest of ``counts`` ranks. ``ranked``: the values of these ranks.

    Below 0 it is -Inf, above 1 +Inf, as ``quantile`` in Prometheus' quantile.go.
    """
    usable = np.clip(np.where(np.isnan(share), 0.0, share), 0.0, 1.0)
    rank = usable * (counts - 1)
    below = np.floor(rank).astype(np.intp)
    above = np.minimum(below + 1, counts - 1)
    weight = rank - below
    result = ranked(below) * (1 - weight) + ranked(above) * weight
    result = np.where(share < 0, -np.inf, np.where(share > 1, np.inf, result))
    return np.where(np.isnan(share), np.nan, result)


def _deviation(part: LaidOut) -> Values:
    """The median of the distances from the median."""
    half = np.full(len(part.windows), 0.5)
    median = _quantiles(part, part.values, half)
    return _quantiles(part, np.abs(part.values - part.spread(median)), half)


def _line(part: LaidOut, from_ms: Times) -> tuple[Values, Values]:
    """Slope per second and value at ``from_ms`` of the line of least squares. (w,) each."""
    x = (part.times - part.spread(from_ms)) / 1000
    # Relative to the first value, so that large numbers with small differences keep their digits.
    start = part.values[part.starts]
    y = part.values - part.spread(start)
    n = part.lengths
    sum_x, sum_y = part.sums(x), part.sums(y)
    covariance = part.sums(x * y) - sum_x * sum_y / n
    variance = part.sums(x * x) - sum_x * sum_x / n
    slope = covariance / variance
    constant = np.logical_and.reduceat(part.values == part.spread(start), part.starts)
    slope = np.where(constant, np.where(np.isinf(start), np.nan, 0.0), slope)
    value = start + np.where(constant, 0.0, sum_y / n - slope * sum_x / n)
    return slope, np.where(constant & np.isinf(start), np.nan, value)


def _slope(part: LaidOut) -> Values:
    return _line(part, part.times[part.starts])[0]


def _smoothed(part: LaidOut, smoothing: float, trend_factor: float) -> Values:
    """Holt's linear method, sample by sample, of all windows at once."""
    level = before = part.values[part.starts]
    trend = part.values[part.starts + 1] - level
    for place in range(1, int(part.lengths.max())):
        going = part.lengths > place
        value = part.values[np.minimum(part.starts + place, len(part.values) - 1)]
        if place > 1:
            trend = np.where(going, trend_factor * (level - before) + (1 - trend_factor) * trend, trend)
        before = level
        level = np.where(going, smoothing * value + (1 - smoothing) * (level + trend), level)
    return level


@dataclass(frozen=True, slots=True)
class RangeFunction:
    """``compute`` gets the windows, and the parameters of the call as (steps,) each. ``keeps_name``: the answer is a
    value of the metric itself."""

    compute: Callable[..., Outcome]
    keeps_name: bool = False


def _reduced(ufunc: np.ufunc) -> Callable[[Windows], Outcome]:
    def compute(windows: Windows) -> Outcome:
        return windows.reduced(ufunc, windows.samples.values), windows.counts > 0

    return compute


def _of_counts(compute: Callable[[Indices], Values]) -> Callable[[Windows], Outcome]:
    def of_windows(windows: Windows) -> Outcome:
        return compute(windows.counts), windows.counts > 0

    return of_windows


def _quantile_over_time(windows: Windows, share: Values) -> Outcome:
    steps = windows.first.shape[1]
    return _laid_out(windows, 1, lambda part: _quantiles(part, part.values, share[part.windows % steps]))


def _predict_linear(windows: Windows, ahead: Values, now_ms: Values) -> Outcome:
    steps = windows.first.shape[1]

    def predict(part: LaidOut) -> Values:
        step = part.windows % steps
        slope, value = _line(part, now_ms[step].astype(np.int64))
        ahead_of: Values = slope * ahead[step] + value
        return ahead_of

    return _laid_out(windows, 2, predict)


def _double_exponential_smoothing(windows: Windows, smoothing: Values, trend: Values) -> Outcome:
    factors = []
    for what, value in (("smoothing", float(smoothing[0])), ("trend", float(trend[0]))):
        if not 0 < value < 1:
            raise invalid(f"the {what} factor of double_exponential_smoothing must be between 0 and 1, not {value:g}")
        factors.append(value)
    return _laid_out(windows, 2, lambda part: _smoothed(part, *factors))


RANGE_FUNCTIONS: Mapping[str, RangeFunction] = {
    "rate": RangeFunction(lambda windows: _extrapolated(windows, counter=True, per_second=True)),
    "increase": RangeFunction(lambda windows: _extrapolated(windows, counter=True, per_second=False)),
    "delta": RangeFunction(lambda windows: _extrapolated(windows, counter=False, per_second=False)),
    "irate": RangeFunction(lambda windows: _instant(windows, counter=True)),
    "idelta": RangeFunction(lambda windows: _instant(windows, counter=False)),
    "avg_over_time": RangeFunction(_average),
    "sum_over_time": RangeFunction(_reduced(np.add)),
    "min_over_time": RangeFunction(_reduced(np.fmin)),
    "max_over_time": RangeFunction(_reduced(np.fmax)),
    "count_over_time": RangeFunction(_of_counts(lambda counts: counts.astype(np.float64))),
    "present_over_time": RangeFunction(_of_counts(lambda counts: np.ones(counts.shape))),
    "last_over_time": RangeFunction(
        lambda windows: (_take(windows.samples.values, _last(windows)), windows.counts > 0), keeps_name=True
    ),
    "first_over_time": RangeFunction(
        lambda windows: (_take(windows.samples.values, _first(windows)), windows.counts > 0), keeps_name=True
    ),
    "stdvar_over_time": RangeFunction(lambda windows: _laid_out(windows, 1, _variance)),
    "stddev_over_time": RangeFunction(lambda windows: _laid_out(windows, 1, lambda part: np.sqrt(_variance(part)))),
    "mad_over_time": RangeFunction(lambda windows: _laid_out(windows, 1, _deviation)),
    "quantile_over_time": RangeFunction(_quantile_over_time),
    "changes": RangeFunction(_changes),
    "resets": RangeFunction(_resets),
    "deriv": RangeFunction(lambda windows: _laid_out(windows, 2, _slope)),
    "predict_linear": RangeFunction(_predict_linear),
    "double_exponential_smoothing": RangeFunction(_double_exponential_smoothing),
}
