"""Arithmetic on the samples of one series: numpy in, numpy out. NaN = no value."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


class Aggregation(StrEnum):
    """What one point of a bucket says of the samples in it."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    LAST = "last"
    RATE = "rate"
    INCREASE = "increase"


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
    times: Times, values: Values, how: Aggregation, start_ms: int, end_ms: int, step_ms: int | None
) -> Points:
    """Points within ``[start_ms, end_ms)``: each sample by itself, or one point a bucket that holds samples.

    ``times``: (n,) int64 ms, ascending; may begin before ``start_ms``: growth is counted from the sample before.
    A rate is growth over the time between samples, per second; over a bucket, the growth of its samples over their
    time.
    """
    times, values = present(times, values)
    spans = None
    if how in (Aggregation.RATE, Aggregation.INCREASE):
        spans = np.diff(times) / 1000
        times, values = times[1:], increases(values)
        inside = (times >= start_ms) & (times < end_ms)
        spans = spans[inside]
    else:
        inside = (times >= start_ms) & (times < end_ms)
    times, values = times[inside], values[inside]
    each = values / spans if how is Aggregation.RATE and spans is not None else values
    if step_ms is None or not len(times):
        return Points(times, each)
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
    return Points(buckets[first], points, low, high)
