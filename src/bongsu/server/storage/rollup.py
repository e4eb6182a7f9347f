"""Makes rollups: what is kept of the samples of a bucket after they are deleted. numpy in, numpy out.

A gauge keeps count, sum, min, max and last. A counter keeps count, first, last and resets, the sum of what it lost at
resets to 0: it grew by ``last - first + resets`` within the bucket. The growth from one bucket to the next lies between
the last value of one and the first value of the other. So buckets are independent: making one again, or correcting it
with late frames, changes no other. Hours are made from minutes, with the same result as from samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Counts, Flags, Times, Values, was_reset
from bongsu.core.series import Kind

# Rows of ``Rollup.stats``.
TOTAL, LOW, HIGH, LAST = range(4)  # of a gauge
FIRST, RESETS = TOTAL, LOW  # of a counter; its last is LAST, and HIGH is not used
STATS = 4


@dataclass(frozen=True, slots=True)
class Rollup:
    """m buckets of k series.

    ``times``: (m,) int64 ms, starts, ascending; ``first_ms``, ``last_ms``: (m,) times of the first and the last frame
    in each; ``frames``: (m,); ``count``: (m, k) samples; ``stats``: (STATS, m, k) float64, NaN where count is 0.
    """

    times: Times
    first_ms: Times
    last_ms: Times
    frames: Counts
    count: Counts
    stats: npt.NDArray[np.float64]

    def part(self, rows: "slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]") -> "Rollup":
        """A selection of the buckets."""
        return Rollup(
            self.times[rows],
            self.first_ms[rows],
            self.last_ms[rows],
            self.frames[rows],
            self.count[rows],
            self.stats[:, rows],
        )


def counters_of(kinds: Sequence[Kind]) -> Flags:
    """(k,) flags of the series that are counters."""
    return np.array([kind is Kind.COUNTER for kind in kinds], bool)


def bucket_starts(times: Times, step_ms: int) -> tuple[Times, Counts]:
    """Bucket starts (m,), and the index in ``times`` at which each bucket begins (m,)."""
    buckets = times - times % step_ms
    first = np.concatenate(([0], np.flatnonzero(buckets[1:] != buckets[:-1]) + 1))
    return buckets[first], first


def of_frames(times: Times, values: Values, counters: Flags, step_ms: int) -> Rollup:
    """The buckets of raw frames. ``times``: (n,), n >= 1; ``values``: (n, k), NaN = no value."""
    starts, first = bucket_starts(times, step_ms)
    frames = np.diff(first, append=len(times))
    present = ~np.isnan(values)
    count = np.add.reduceat(present, first, axis=0, dtype=np.int64)
    early = values[first]
    last = values[first + frames - 1]
    full = bool(present.all())
    if not full:
        order = np.arange(len(times))[:, None]
        early = _taken(values, np.minimum.reduceat(np.where(present, order, len(times)), first, axis=0), count)
        last = _taken(values, np.maximum.reduceat(np.where(present, order, -1), first, axis=0), count)
    stats = np.empty((STATS, len(starts), values.shape[1]))
    gauges = ~counters
    stats[LAST] = last
    stats[HIGH][:, counters] = np.nan
    gauge_values = values[:, gauges]
    if full:
        stats[TOTAL][:, gauges] = np.add.reduceat(gauge_values, first, axis=0)
        stats[LOW][:, gauges] = np.minimum.reduceat(gauge_values, first, axis=0)
        stats[HIGH][:, gauges] = np.maximum.reduceat(gauge_values, first, axis=0)
    else:
        total = np.add.reduceat(np.where(present[:, gauges], gauge_values, 0.0), first, axis=0)
        stats[TOTAL][:, gauges] = np.where(count[:, gauges] > 0, total, np.nan)
        stats[LOW][:, gauges] = np.fmin.reduceat(gauge_values, first, axis=0)
        stats[HIGH][:, gauges] = np.fmax.reduceat(gauge_values, first, axis=0)
    stats[FIRST][:, counters] = early[:, counters]
    stats[RESETS][:, counters] = _resets(values[:, counters], first, present[:, counters], full=full)
    return Rollup(starts, times[first], times[first + frames - 1], frames, count, stats)


def _taken(values: Values, rows: Counts, count: Counts) -> Values:
    """values[rows[i, j], j], NaN where the count is 0."""
    inside = np.clip(rows, 0, len(values) - 1)
    return np.where(count > 0, np.take_along_axis(values, inside, axis=0), np.nan)


def _resets(values: Values, first: Counts, present: Flags, *, full: bool) -> Values:
    """(m, c) what counters lost at resets within each bucket."""
    lost = np.zeros(values.shape)
    if full:
        lost[1:] = np.where(was_reset(values[:-1], values[1:]), values[:-1], 0.0)
        lost[first] = 0.0
        return np.add.reduceat(lost, first, axis=0)
    # The previous sample of a series need not be in the row above.
    bucket = np.zeros(len(values), np.int64)
    bucket[first] = 1
    bucket = np.cumsum(bucket)
    for column in range(values.shape[1]):
        rows = np.flatnonzero(present[:, column])
        samples = values[rows, column]
        fell = np.flatnonzero(was_reset(samples[:-1], samples[1:]) & (np.diff(bucket[rows]) == 0))
        lost[rows[fell + 1], column] = samples[fell]
    return np.add.reduceat(lost, first, axis=0)


def coarser(rollup: Rollup, counters: Flags, step_ms: int) -> Rollup:
    """The same samples in longer buckets; each shorter bucket lies within one of them."""
    starts, first = bucket_starts(rollup.times, step_ms)
    ends = np.append(first[1:], len(rollup.times)) - 1
    count = np.add.reduceat(rollup.count, first, axis=0)
    stats = np.empty((STATS, len(starts), rollup.count.shape[1]))
    some = rollup.count > 0
    order = np.arange(len(rollup.times))[:, None]
    none = len(rollup.times)
    first_there = np.minimum.reduceat(np.where(some, order, none), first, axis=0)
    last_there = np.maximum.reduceat(np.where(some, order, -1), first, axis=0)
    stats[LAST] = _taken(rollup.stats[LAST], last_there, count)
    total = np.add.reduceat(np.where(some, rollup.stats[TOTAL], 0.0), first, axis=0)
    stats[TOTAL] = np.where(count > 0, total, np.nan)
    stats[LOW] = np.fmin.reduceat(rollup.stats[LOW], first, axis=0)
    stats[HIGH] = np.fmax.reduceat(rollup.stats[HIGH], first, axis=0)
    for column in np.flatnonzero(counters):
        rows = np.flatnonzero(some[:, column])
        lost = np.zeros(len(rollup.times))
        firsts, lasts = rollup.stats[FIRST][rows, column], rollup.stats[LAST][rows, column]
        lost[rows] = rollup.stats[RESETS][rows, column]
        hour = np.searchsorted(first, rows, side="right")
        fell = np.flatnonzero(was_reset(lasts[:-1], firsts[1:]) & (np.diff(hour) == 0))
        lost[rows[fell + 1]] += lasts[fell]
        stats[RESETS][:, column] = np.where(count[:, column] > 0, np.add.reduceat(lost, first), np.nan)
    stats[FIRST][:, counters] = _taken(rollup.stats[FIRST], first_there, count)[:, counters]
    stats[HIGH][:, counters] = np.nan
    return Rollup(
        starts,
        rollup.first_ms[first],
        rollup.last_ms[ends],
        np.add.reduceat(rollup.frames, first),
        count,
        stats,
    )


def more_complete(old: Rollup, new: Rollup) -> Rollup:
    """The buckets of both; where both have one, that with more frames, or the new one if they have equally many."""
    _, in_old, in_new = np.intersect1d(old.times, new.times, return_indices=True)
    keep = old.frames[in_old] > new.frames[in_new]
    return _sorted(
        old.part(np.delete(np.arange(len(old.times)), in_old[~keep])),
        new.part(np.delete(np.arange(len(new.times)), in_new[keep])),
    )


def combined(old: Rollup, new: Rollup, counters: Flags) -> Rollup:
    """The buckets of both; where both have a bucket, one with the samples of both.

    If the times of old and new samples overlap within a bucket, nobody can tell whether they are the same samples, or
    whether a counter was reset between them: the bucket with more frames stays as it is.
    """
    both, in_old, in_new = np.intersect1d(old.times, new.times, return_indices=True)
    overlap = (old.first_ms[in_old] <= new.last_ms[in_new]) & (new.first_ms[in_new] <= old.last_ms[in_old])
    if overlap.any():
        fewer = old.frames[in_old] < new.frames[in_new]
        old = old.part(np.delete(np.arange(len(old.times)), in_old[overlap & fewer]))
        new = new.part(np.delete(np.arange(len(new.times)), in_new[overlap & ~fewer]))
        both, in_old, in_new = np.intersect1d(old.times, new.times, return_indices=True)
    if not len(both):
        return _sorted(old, new)
    left, right = old.part(in_old), new.part(in_new)
    right_first = right.first_ms < left.first_ms
    early, late = _choose(right_first, right, left), _choose(right_first, left, right)
    count = early.count + late.count
    stats = np.empty_like(early.stats)
    sum_of = _joined(early, late, TOTAL, np.add)
    stats[LAST] = np.where(late.count > 0, late.stats[LAST], early.stats[LAST])
    stats[TOTAL] = np.where(counters, np.where(early.count > 0, early.stats[FIRST], late.stats[FIRST]), sum_of)
    fell = (early.count > 0) & (late.count > 0) & was_reset(early.stats[LAST], late.stats[FIRST])
    resets = _joined(early, late, RESETS, np.add) + np.where(fell, early.stats[LAST], 0.0)
    stats[LOW] = np.where(counters, resets, np.fmin(early.stats[LOW], late.stats[LOW]))
    stats[HIGH] = np.fmax(early.stats[HIGH], late.stats[HIGH])
    merged = Rollup(
        both,
        np.minimum(left.first_ms, right.first_ms),
        np.maximum(left.last_ms, right.last_ms),
        left.frames + right.frames,
        count,
        stats,
    )
    rest = _sorted(old.part(~np.isin(old.times, both)), new.part(~np.isin(new.times, both)))
    return _sorted(rest, merged)


def _choose(condition: Flags, if_true: Rollup, if_false: Rollup) -> Rollup:
    """``numpy.where`` for the buckets of two rollups with the same times."""
    rows = condition[:, None]
    return Rollup(
        if_true.times,
        np.where(condition, if_true.first_ms, if_false.first_ms),
        np.where(condition, if_true.last_ms, if_false.last_ms),
        np.where(condition, if_true.frames, if_false.frames),
        np.where(rows, if_true.count, if_false.count),
        np.where(rows[None], if_true.stats, if_false.stats),
    )


def _joined(left: Rollup, right: Rollup, stat: int, join: Callable[[Values, Values], Values]) -> Values:
    """``join`` of a statistic where both have samples, else the statistic of the one that has some."""
    joined = join(left.stats[stat], right.stats[stat])
    return np.where(left.count == 0, right.stats[stat], np.where(right.count == 0, left.stats[stat], joined))


def _sorted(left: Rollup, right: Rollup) -> Rollup:
    times, first_ms, last_ms, frames, count = (
        np.concatenate([getattr(left, name), getattr(right, name)])
        for name in ("times", "first_ms", "last_ms", "frames", "count")
    )
    joined = Rollup(times, first_ms, last_ms, frames, count, np.concatenate([left.stats, right.stats], axis=1))
    return joined.part(np.argsort(times, kind="stable"))
