"""Answers from rollups: the points of a series from its buckets, which ``storage/rollup.py`` makes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Counts, Indices, Times, Values, growth
from bongsu.server.history.aggregation import GROWTH, Aggregation, Points, Row, is_ascending, present
from bongsu.server.storage.rollup import FIRST, HIGH, LAST, LOW, RESETS, STATS, TOTAL, bucket_starts, of_frames

# Buckets that are merged into longer ones before they are computed with; fewer are not worth it. The longer ones are
# kept if they are at most a third as many.
_WORTH_MERGING = 100
_KEPT_SHARE = 3


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
    # By their step, those that were asked for last.
    _longer: "dict[int, SeriesRollup]" = field(default_factory=dict, repr=False, compare=False, kw_only=True)

    @classmethod
    def of_samples(cls, times: Times, values: Values, step_ms: int, *, counter: bool) -> "SeriesRollup":
        """The buckets of raw samples; n >= 1."""
        rollup = of_frames(times, values[:, None], np.array([counter]), step_ms)
        return cls(rollup.times, rollup.first_ms, rollup.last_ms, rollup.count[:, 0], rollup.stats[:, :, 0])

    @classmethod
    def of_columns(
        cls, times: Times, columns: Mapping[int, Values], counters: Collection[int], step_ms: int
    ) -> "dict[int, SeriesRollup]":
        """The buckets of the samples of some series by position, made in one go where all have a value at each time:
        eight series take as long as two. n >= 1."""
        full = {position: values for position, values in columns.items() if not np.isnan(values).any()}
        found = {}
        if full:
            flags = np.array([position in counters for position in full])
            rollup = of_frames(times, np.stack([*full.values()], axis=1), flags, step_ms)
            shared = rollup.times, rollup.first_ms, rollup.last_ms
            for place, position in enumerate(full):
                stats = np.ascontiguousarray(rollup.stats[:, :, place])
                found[position] = cls(*shared, np.ascontiguousarray(rollup.count[:, place]), stats)
        for position in columns.keys() - full.keys():
            own_times, values = present(times, columns[position])
            found[position] = (
                cls.of_samples(own_times, values, step_ms, counter=position in counters) if len(own_times) else _EMPTY
            )
        return found

    @classmethod
    def joined(cls, parts: "Sequence[SeriesRollup]") -> "SeriesRollup":
        """Joins one or more parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls.concatenated(parts).sorted()

    @classmethod
    def concatenated(cls, parts: "Sequence[SeriesRollup]") -> "SeriesRollup":
        """One or more parts, one after the other."""
        columns = zip(*(part.arrays for part in parts), strict=True)
        return cls(*(np.concatenate(arrays, axis=-1) for arrays in columns))

    def sorted(self) -> "SeriesRollup":
        """The buckets in the order that they must have."""
        return self if is_ascending(self.times) else self._taken(np.lexsort((self.first_ms, self.times)))

    def summed_up(self) -> "SeriesRollup":
        """The counter that would have grown by what these buckets of deltas hold, and never starts again."""
        filled = self.where(self.count > 0)
        stats = np.full(filled.stats.shape, np.nan)
        stats[LAST] = np.cumsum(filled.stats[TOTAL])
        stats[FIRST], stats[RESETS] = stats[LAST] - filled.stats[TOTAL], 0.0
        return SeriesRollup(filled.times, filled.first_ms, filled.last_ms, filled.count, stats)

    @property
    def arrays(self) -> tuple[Times, Times, Times, Counts, Values]:
        """All of them."""
        return self.times, self.first_ms, self.last_ms, self.count, self.stats

    def longer(self, step_ms: int) -> "SeriesRollup":
        """The buckets of a gauge, one or more, as buckets of ``step_ms``, a multiple of their step. Their last values
        are left out: which is the last depends on those of other parts in the same bucket."""
        found = self._longer.get(step_ms)
        if found is None:
            filled = self.where(self.count > 0)
            if not len(filled.times):
                return filled
            starts, first = bucket_starts(filled.times, step_ms)
            stats = np.full((STATS, len(starts)), np.nan)
            stats[TOTAL] = np.add.reduceat(filled.stats[TOTAL], first)
            stats[LOW] = np.minimum.reduceat(filled.stats[LOW], first)
            stats[HIGH] = np.maximum.reduceat(filled.stats[HIGH], first)
            last_ms = filled.last_ms[np.append(first[1:], len(filled.times)) - 1]
            count = np.add.reduceat(filled.count, first)
            found = SeriesRollup(starts, filled.first_ms[first], last_ms, count, stats)
            if len(starts) * _KEPT_SHARE <= len(self.times):
                self._longer.clear()
                self._longer[step_ms] = found
        return found

    def where(self, rows: npt.NDArray[np.bool_]) -> "SeriesRollup":
        """A selection of the buckets."""
        return self if rows.all() else self._taken(rows)

    def between(self, start_ms: int, end_ms: int) -> "SeriesRollup":
        """The buckets that begin in ``[start_ms, end_ms)``."""
        start, end = np.searchsorted(self.times, (start_ms, end_ms))
        return self._taken(slice(start, end))

    def inside(self, start_ms: int, end_ms: int) -> "SeriesRollup":
        """``between``, without a look for the place if that is all of them."""
        times = self.times
        all_inside = len(times) > 0 and times[0] >= start_ms and times[-1] < end_ms
        return self if all_inside else self.between(start_ms, end_ms)

    def _taken(self, rows: "npt.NDArray[np.bool_] | Indices | slice") -> "SeriesRollup":
        return SeriesRollup(
            self.times[rows], self.first_ms[rows], self.last_ms[rows], self.count[rows], self.stats[:, rows]
        )


_EMPTY = SeriesRollup(*(np.empty(0, np.int64),) * 4, np.empty((STATS, 0)))


def aggregate_rollup(
    series: SeriesRollup, how: Aggregation, start_ms: int, end_ms: int, step_ms: int, *, counter: bool
) -> Points:
    """The result of ``aggregate``, computed from a rollup; ``step_ms`` is a multiple of the rollup's step.

    The buckets that begin in ``[start_ms, end_ms)`` count whole. A bucket before the range gives the value that a
    counter starts from. The extremes of a rate are those of the buckets, not of the samples.
    """
    series = series.where(series.count > 0)
    spans = None
    if how in GROWTH:
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


def aggregate_rollups(
    series: Sequence[Sequence[SeriesRollup]], how: Aggregation, start_ms: int, end_ms: int, step_ms: int
) -> list[Points]:
    """``aggregate_rollup`` of several gauges in parts; not of their growth. They are computed as one."""
    series = [[_cut(part, how, start_ms, end_ms, step_ms) for part in each] for each in series]
    parts = [part for each in series for part in each]
    if not parts:
        return [Points(np.empty(0, np.int64), np.empty(0))] * len(series)
    row = Row([sum(len(part.times) for part in each) for each in series], start_ms, end_ms, step_ms)
    joined = SeriesRollup.concatenated(parts)
    joined = SeriesRollup(row.shifted(joined.times), *joined.arrays[1:]).sorted()
    return row.cut(aggregate_rollup(joined, how, 0, row.end_ms, step_ms, counter=False))


def _cut(part: SeriesRollup, how: Aggregation, start_ms: int, end_ms: int, step_ms: int) -> SeriesRollup:
    """What of a part is within a range: as it is, or as longer buckets, which it has from the last time."""
    inside = part.inside(start_ms, end_ms)
    whole = inside is part and len(part.times) >= _WORTH_MERGING
    return part.longer(step_ms) if whole and how is not Aggregation.LAST else inside


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
