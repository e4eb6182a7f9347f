"""Answers from rollups: the points of a series from its buckets. The half that makes them is ``storage/rollup.py``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Counts, Times, Values
from bongsu.server.history.aggregation import Aggregation, Points
from bongsu.server.storage.rollup import FIRST, HIGH, LAST, LOW, RESETS, TOTAL, bucket_starts, of_frames


@dataclass(frozen=True, slots=True)
class SeriesRollup:
    """Buckets of one series: (m,) each, ``stats``: (STATS, m), ordered by ``times`` and then ``first_ms``.

    A bucket may stand more than once: its samples came in two layouts, or some of them came late.
    """

    times: Times
    first_ms: Times
    last_ms: Times
    count: Counts
    stats: Values

    @classmethod
    def of_samples(cls, times: Times, values: Values, step_ms: int, *, counter: bool) -> "SeriesRollup":
        """Buckets of raw samples; n >= 1."""
        made = of_frames(times, values[:, None], np.array([counter]), step_ms)
        return cls(made.times, made.first_ms, made.last_ms, made.count[:, 0], made.stats[:, :, 0])

    @classmethod
    def joined(cls, parts: "Sequence[SeriesRollup]") -> "SeriesRollup":
        """Several as one, in order; at least one."""
        if len(parts) == 1:
            return parts[0]
        times, first_ms, last_ms, count = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("times", "first_ms", "last_ms", "count")
        )
        order = np.lexsort((first_ms, times))
        stats = np.concatenate([part.stats for part in parts], axis=1)
        return cls(times[order], first_ms[order], last_ms[order], count[order], stats[:, order])

    def where(self, rows: npt.NDArray[np.bool_]) -> "SeriesRollup":
        """Some of the buckets."""
        return SeriesRollup(
            self.times[rows], self.first_ms[rows], self.last_ms[rows], self.count[rows], self.stats[:, rows]
        )


def aggregate_rollup(
    series: SeriesRollup, how: Aggregation, start_ms: int, end_ms: int, step_ms: int, *, counter: bool
) -> Points:
    """What ``columns.aggregate`` says of the samples, from their rollup; ``step_ms`` is a multiple of its own.

    Buckets count whole: those that begin in ``[start_ms, end_ms)``. A bucket before the range tells what a counter had
    when it began. Extremes of a rate are those of the buckets, not of the samples in them.
    """
    series = series.where(series.count > 0)
    spans = None
    if how in (Aggregation.RATE, Aggregation.INCREASE):
        series, growth, spans = _growth(series, counter=counter)
        inside = (series.times >= start_ms) & (series.times < end_ms)
        growth, spans = growth[inside], spans[inside]
        each = low = high = growth / spans if how is Aggregation.RATE else growth
        series = series.where(inside)
    else:
        series = series.where((series.times >= start_ms) & (series.times < end_ms))
        each = growth = series.stats[LAST]
        low, high = (each, each) if counter else (series.stats[LOW], series.stats[HIGH])
    times = series.times
    if not len(times):
        return Points(times, each)
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
            points = each[np.append(first[1:], len(times)) - 1]
        case Aggregation.COUNT:
            points = np.add.reduceat(series.count, first).astype(np.float64)
        case Aggregation.RATE:
            assert spans is not None
            points = np.add.reduceat(growth, first) / np.add.reduceat(spans, first)
        case Aggregation.INCREASE:
            points = np.add.reduceat(growth, first)
        case _:
            raise ValueError(f"a rollup does not know the {how}")
    return Points(starts, points, np.minimum.reduceat(low, first), np.maximum.reduceat(high, first))


def _growth(series: SeriesRollup, *, counter: bool) -> tuple[SeriesRollup, Values, Values]:
    """The buckets at whose end there is growth, how much, and over how many seconds. What lies between two buckets
    belongs to the later one, as growth between two samples belongs to the later sample."""
    last = series.stats[LAST]
    spans = np.diff(series.last_ms, prepend=series.first_ms[:1]) / 1000
    if counter:
        first = series.stats[FIRST]
        between = first[1:] - last[:-1]
        growth = last - first + series.stats[RESETS]
        growth[1:] += np.where(between < 0, first[1:], between)
        grown = spans > 0
    else:
        growth = np.diff(last, prepend=last[:1])
        grown = np.arange(len(last)) > 0
    return series.where(grown), growth[grown], spans[grown]


# What a rollup of a counter, or of anything, does not tell.
_RAW_ONLY_COUNTER = frozenset({Aggregation.AVG, Aggregation.MIN, Aggregation.MAX, Aggregation.SUM})


def needs_raw(how: Aggregation, *, counter: bool) -> bool:
    """Whether only the samples themselves tell this."""
    return how.percentile is not None or (counter and how in _RAW_ONLY_COUNTER)
