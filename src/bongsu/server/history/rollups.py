"""Answers from rollups: the points of a series from its buckets, which ``storage/rollup.py`` makes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Counts, Times, Values, growth
from bongsu.server.history.aggregation import Aggregation, Points
from bongsu.server.storage.rollup import FIRST, HIGH, LAST, LOW, RESETS, TOTAL, bucket_starts, of_frames


@dataclass(frozen=True, slots=True)
class SeriesRollup:
    """The buckets of one series: (m,) each, ``stats``: (STATS, m), ordered by ``times`` and then ``first_ms``.

    A bucket can occur more than once: its samples arrived in two layouts, or some of them arrived late.
    """

    times: Times
    first_ms: Times
    last_ms: Times
    count: Counts
    stats: Values

    @classmethod
    def of_samples(cls, times: Times, values: Values, step_ms: int, *, counter: bool) -> "SeriesRollup":
        """The buckets of raw samples; n >= 1."""
        rollup = of_frames(times, values[:, None], np.array([counter]), step_ms)
        return cls(rollup.times, rollup.first_ms, rollup.last_ms, rollup.count[:, 0], rollup.stats[:, :, 0])

    @classmethod
    def joined(cls, parts: "Sequence[SeriesRollup]") -> "SeriesRollup":
        """Joins one or more parts, in order."""
        if len(parts) == 1:
            return parts[0]
        times, first_ms, last_ms, count = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("times", "first_ms", "last_ms", "count")
        )
        stats = np.concatenate([part.stats for part in parts], axis=1)
        if (times[1:] > times[:-1]).all():
            return cls(times, first_ms, last_ms, count, stats)
        order = np.lexsort((first_ms, times))
        return cls(times[order], first_ms[order], last_ms[order], count[order], stats[:, order])

    def summed_up(self) -> "SeriesRollup":
        """The counter that would have grown by what these buckets of deltas hold, and never starts again."""
        filled = self.where(self.count > 0)
        stats = np.full(filled.stats.shape, np.nan)
        stats[LAST] = np.cumsum(filled.stats[TOTAL])
        stats[FIRST], stats[RESETS] = stats[LAST] - filled.stats[TOTAL], 0.0
        return SeriesRollup(filled.times, filled.first_ms, filled.last_ms, filled.count, stats)

    def where(self, rows: npt.NDArray[np.bool_]) -> "SeriesRollup":
        """A selection of the buckets."""
        return self if rows.all() else self._taken(rows)

    def between(self, start_ms: int, end_ms: int) -> "SeriesRollup":
        """The buckets that begin in ``[start_ms, end_ms)``."""
        start, end = np.searchsorted(self.times, (start_ms, end_ms))
        return self._taken(slice(start, end))

    def _taken(self, rows: "npt.NDArray[np.bool_] | slice") -> "SeriesRollup":
        return SeriesRollup(
            self.times[rows], self.first_ms[rows], self.last_ms[rows], self.count[rows], self.stats[:, rows]
        )


def aggregate_rollup(
    series: SeriesRollup, how: Aggregation, start_ms: int, end_ms: int, step_ms: int, *, counter: bool
) -> Points:
    """The result of ``aggregate``, computed from a rollup; ``step_ms`` is a multiple of the rollup's step.

    The buckets that begin in ``[start_ms, end_ms)`` count whole. A bucket before the range gives the value that a
    counter starts from. The extremes of a rate are those of the buckets, not of the samples.
    """
    series = series.where(series.count > 0)
    spans = None
    if how in (Aggregation.RATE, Aggregation.INCREASE):
        series, grew, spans = growth_of(series, counter=counter)
        start, end = np.searchsorted(series.times, (start_ms, end_ms))
        grew, spans = grew[start:end], spans[start:end]
        per_bucket = low = high = _rising(grew / spans if how is Aggregation.RATE else grew, counter=counter)
        series = series.between(start_ms, end_ms)
    else:
        series = series.between(start_ms, end_ms)
        per_bucket = grew = series.stats[LAST]
        low, high = (per_bucket, per_bucket) if counter else (series.stats[LOW], series.stats[HIGH])
    times = series.times
    if not len(times):
        return Points(times, per_bucket)
    starts, first = bucket_starts(times, step_ms)
    match how:
        case Aggregation.AVG:
            points = np.add.reduceat(series.stats[TOTAL], first) / np.add.reduceat(series.count, first)
        case Aggregation.MIN:
            points = np.minimum.reduceat(low, first)
        case Aggregation.MAX:
            points = np.maximum.reduceat(high, first)
        case Aggregation.SUM:
            points = np.add.reduceat(series.stats[TOTAL], first)
        case Aggregation.LAST:
            points = per_bucket[np.append(first[1:], len(times)) - 1]
        case Aggregation.COUNT:
            points = np.add.reduceat(series.count, first).astype(np.float64)
        case Aggregation.RATE:
            assert spans is not None
            points = _rising(np.add.reduceat(grew, first) / np.add.reduceat(spans, first), counter=counter)
        case Aggregation.INCREASE:
            points = _rising(np.add.reduceat(grew, first), counter=counter)
        case _:
            raise ValueError(f"rollups do not keep the {how}")
    return Points(starts, points, np.minimum.reduceat(low, first), np.maximum.reduceat(high, first))


def _rising(values: Values, *, counter: bool) -> Values:
    """Without the tiny falls of counters that are no resets."""
    return np.maximum(values, 0.0) if counter else values


def growth_of(series: SeriesRollup, *, counter: bool) -> tuple[SeriesRollup, Values, Values]:
    """The buckets that have growth, how much, and over how many seconds. The growth between two buckets belongs to the
    later one, as the growth between two samples belongs to the later sample."""
    last = series.stats[LAST]
    spans = (series.last_ms - np.concatenate((series.first_ms[:1], series.last_ms[:-1]))) / 1000
    if counter:
        first = series.stats[FIRST]
        grew = last - first + series.stats[RESETS]
        grew[1:] += growth(last[:-1], first[1:])
        grown = spans > 0
    else:
        grew = np.diff(last, prepend=last[:1])
        grown = np.arange(len(last)) > 0
    return series.where(grown), grew[grown], spans[grown]


# What the rollup of a counter does not keep.
_RAW_ONLY_COUNTER = frozenset({Aggregation.AVG, Aggregation.MIN, Aggregation.MAX, Aggregation.SUM})


def needs_raw(how: Aggregation, *, counter: bool) -> bool:
    """Whether an aggregation can only be computed from raw samples."""
    return how.percentile is not None or (counter and how in _RAW_ONLY_COUNTER)
