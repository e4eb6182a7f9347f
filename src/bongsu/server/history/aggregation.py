"""What one point of a bucket says of the samples in it: aggregations of one series. numpy in, numpy out."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Times, Values


class Aggregation(StrEnum):
    """What one point of a bucket says of the samples in it."""

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
        """95 for p95; None for what is no percentile."""
        return int(self.value[1:]) if self.value[0] == "p" else None


@dataclass(frozen=True, slots=True)
class Points:
    """``times``: (n,) int64 ms, ascending; bucket starts where ``low`` and ``high``, the extremes, are given."""

    times: Times
    values: Values
    low: Values | None = None
    high: Values | None = None


def present(times: Times, values: Values) -> tuple[Times, Values]:
    """Without the times that have no value."""
    there = ~np.isnan(values)
    return times[there], values[there]


def increases(values: Values) -> Values:
    """(n - 1,) growth of a counter from each sample to the next. After a reset to 0 it has grown by its new value."""
    steps = np.diff(values)
    return np.where(steps < 0, values[1:], steps)


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
    """Points within ``[start_ms, end_ms)``: each sample by itself, or one point a bucket that holds samples.

    ``times``: (n,) int64 ms, ascending; may begin before ``start_ms``: growth is counted from the sample before.
    A rate is growth over the time between samples, per second; over a bucket, the growth of its samples over their
    time. What is no counter grows by the difference, which may be negative.
    """
    times, values = present(times, values)
    spans = None
    if how in (Aggregation.RATE, Aggregation.INCREASE):
        spans = np.diff(times) / 1000
        times, values = times[1:], increases(values) if counter else np.diff(values)
        inside = (times >= start_ms) & (times < end_ms)
        spans = spans[inside]
    else:
        inside = (times >= start_ms) & (times < end_ms)
    times, values = times[inside], values[inside]
    each = values / spans if how is Aggregation.RATE and spans is not None else values
    if step_ms is None or not len(times):
        return Points(times, np.ones(len(times)) if how is Aggregation.COUNT else each)
    buckets = times - times % step_ms
    first = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    counts = np.diff(first, append=len(times))
    last = first + counts - 1
    low, high = np.minimum.reduceat(each, first), np.maximum.reduceat(each, first)
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
    return Points(buckets[first], points, low, high)


def _percentiles(values: Values, first: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], percent: int) -> Values:
    """(m,) linear between the two nearest ranks, as numpy.percentile (Hyndman and Fan's definition 7)."""
    bucket = np.repeat(np.arange(len(first)), counts)
    ranked = values[np.lexsort((values, bucket))]
    rank = first + (counts - 1) * (percent / 100)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, first + counts - 1)
    points: Values = ranked[below] + (ranked[above] - ranked[below]) * (rank - below)
    return points
