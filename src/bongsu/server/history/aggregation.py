"""Aggregations: what one point says of the samples in its bucket. numpy in, numpy out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Times, Values, growth


class Aggregation(StrEnum):
    """What a point says of the samples in its bucket."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    LAST = "last"
    COUNT = "count"
    RATE = "rate"
    INCREASE = "increase"
    P50 = "p50"
    P75 = "p75"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"

    @property
    def percentile(self) -> int | None:
        """95 for p95; None for other aggregations."""
        return int(self.value[1:]) if self.value[0] == "p" else None


@dataclass(frozen=True, slots=True)
class Points:
    """``times``: (n,) int64 ms, ascending; bucket starts where ``low`` and ``high`` (the extremes) are given."""

    times: Times
    values: Values
    low: Values | None = None
    high: Values | None = None


GROWTH = frozenset((Aggregation.RATE, Aggregation.INCREASE))


def present(times: Times, values: Values) -> tuple[Times, Values]:
    """The samples that have a value."""
    has_value = ~np.isnan(values)
    return times[has_value], values[has_value]


def increases(values: Values) -> Values:
    """(n - 1,) growth of a counter from each sample to the next."""
    return growth(values[:-1], values[1:])


def aggregate(
    times: Times,
    values: Values,
    how: Aggregation,
    start_ms: int,
    end_ms: int,
    step_ms: int | None,
    *,
    counter: bool = True,
) -> Points:
    """The points within ``[start_ms, end_ms)``: every sample, or one point for each bucket that holds samples.

    ``times``: (n,) int64 ms, ascending; may begin before ``start_ms``, since growth counts from the previous sample. A
    rate is the growth per second between two samples; of a bucket, the growth of all its samples over their time.
    A gauge grows by the difference, which may be negative.
    """
    times, values = present(times, values)
    spans = None
    if how in GROWTH:
        spans = np.diff(times) / 1000
        times, values = times[1:], increases(values) if counter else np.diff(values)
        inside = (times >= start_ms) & (times < end_ms)
        spans = spans[inside]
    else:
        inside = (times >= start_ms) & (times < end_ms)
    times, values = times[inside], values[inside]
    per_sample = values / spans if how is Aggregation.RATE and spans is not None else values
    if counter and spans is not None:
        per_sample = np.maximum(per_sample, 0.0)  # not the tiny falls that are no resets
    if step_ms is None or not len(times):
        return Points(times, np.ones(len(times)) if how is Aggregation.COUNT else per_sample)
    buckets = times - times % step_ms
    first = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    counts = np.diff(first, append=len(times))
    last = first + counts - 1
    low, high = np.minimum.reduceat(per_sample, first), np.maximum.reduceat(per_sample, first)
    match how:
        case Aggregation.AVG:
            points = np.add.reduceat(values, first) / counts
        case Aggregation.MIN:
            points = low
        case Aggregation.MAX:
            points = high
        case Aggregation.LAST:
            points = values[last]
        case Aggregation.SUM | Aggregation.INCREASE:
            points = np.add.reduceat(values, first)
        case Aggregation.RATE:
            assert spans is not None
            points = np.add.reduceat(values, first) / np.add.reduceat(spans, first)
        case Aggregation.COUNT:
            points = counts.astype(np.float64)
        case _:
            points = _percentiles(values, first, counts, how.percentile or 0)
    if counter and spans is not None:
        points = np.maximum(points, 0.0)
    return Points(buckets[first], points, low, high)


def is_ascending(times: Times) -> bool:
    """Whether each time is later than the one before."""
    return bool((times[1:] > times[:-1]).all())


class Row:
    """Several series one after the other on an axis of time, so that numpy computes all of them at once: 20 series
    take as long as three.

    ``lengths``: how many samples or buckets each has. What lies outside of ``[start_ms, end_ms)`` must be left out.
    """

    def __init__(self, lengths: Sequence[int], start_ms: int, end_ms: int, step_ms: int) -> None:
        first_ms = start_ms - start_ms % step_ms
        width_ms = -(-(end_ms - first_ms) // step_ms) * step_ms
        self._lengths = lengths
        self._starts = np.arange(len(lengths) + 1) * width_ms
        self._first_ms = first_ms
        self.end_ms = len(lengths) * width_ms

    def shifted(self, times: Times) -> Times:
        """The times of all series, (n,), on that axis."""
        shifted: Times = times + np.repeat(self._starts[:-1] - self._first_ms, self._lengths)
        return shifted

    def cut(self, points: Points) -> list[Points]:
        """The points of each series."""
        cuts = np.searchsorted(points.times, self._starts).tolist()
        found = []
        for begin, end, at_ms in zip(cuts, cuts[1:], self._starts.tolist(), strict=False):
            low = None if points.low is None else points.low[begin:end]
            high = None if points.high is None else points.high[begin:end]
            times = points.times[begin:end] - (at_ms - self._first_ms)
            found.append(Points(times, points.values[begin:end], low, high))
        return found


def aggregate_all(
    series: Sequence[tuple[Times, Values]], how: Aggregation, start_ms: int, end_ms: int, step_ms: int
) -> list[Points]:
    """``aggregate`` of several series; not of their growth. They are computed as one."""
    row = Row([len(times) for times, _ in series], start_ms, end_ms, step_ms)
    times, values = (np.concatenate(arrays) for arrays in zip(*series, strict=True))
    inside = (times >= start_ms) & (times < end_ms)
    return row.cut(aggregate(row.shifted(times)[inside], values[inside], how, 0, row.end_ms, step_ms))


def _percentiles(values: Values, first: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], percent: int) -> Values:
    """(m,) percentiles, linear between the two nearest ranks as in numpy.percentile (Hyndman and Fan, definition 7)."""
    bucket = np.repeat(np.arange(len(first)), counts)
    ranked = values[np.lexsort((values, bucket))]
    rank = first + (counts - 1) * (percent / 100)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, first + counts - 1)
    points: Values = ranked[below] + (ranked[above] - ranked[below]) * (rank - below)
    return points
