"""Gets the samples of selected series from blocks and frames; from rollups where the samples are no longer kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from bongsu.arrays import ABSENT, Times, Values
from bongsu.core.errors import InvalidInput
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.history.promql.evaluator import Read
from bongsu.server.history.promql.plan import Aspect, Need
from bongsu.server.history.promql.selection import Matched
from bongsu.server.history.promql.values import Samples
from bongsu.server.history.query import Missing
from bongsu.server.history.rollups import SeriesRollup, growth_of
from bongsu.server.history.series import Rows, buckets_of, samples_of
from bongsu.server.history.sources import read_layouts
from bongsu.server.history.task import positions_of
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.rollup import HIGH, LAST, LOW, TOTAL

# A window must hold two buckets for a rate, whose samples are up to a bucket apart.
_BUCKETS_IN_RANGE = 3
_ROWS = {Aspect.LOW: LOW, Aspect.HIGH: HIGH, Aspect.TOTAL: TOTAL}


@dataclass(slots=True)
class Stored:
    """The rows of the database that a need has, and of which tier."""

    need: Need
    series: Sequence[Matched]
    tier: int
    range_ms: int
    samples: int
    rows: Rows


def tier_for(need: Need, series: Sequence[Matched], floors: Mapping[int, int], most_samples: int) -> int:
    """Samples as long as all of the range has them and they are not too many; otherwise minutes, or hours.

    Raises:
        InvalidInput: even hours would be too many.
    """
    if not series:
        return RAW
    oldest_ms = min(matched.selected.server.oldest_ms for matched in series)
    start_ms = max(need.after_ms + 1, oldest_ms)
    length_ms = max(0, need.until_ms - start_ms)
    estimate = 0
    for tier in (RAW, MINUTE_MS, HOUR_MS):
        estimate = sum(length_ms // max(matched.selected.interval_ms, tier) + 1 for matched in series)
        if start_ms >= floors[tier] and estimate <= most_samples:
            return tier
    if estimate <= most_samples:
        return HOUR_MS
    raise too_many(estimate, most_samples)


def too_many(samples: int, left: int) -> InvalidInput:
    """The error of a query that would read too much. ``left``: what it may still read."""
    return InvalidInput(
        f"The query would read some {samples:,} samples; the limit is {left:,}. Select fewer series, or a shorter "
        "range.",
        code="too_many_samples",
        field="query",
        limit=left,
    )


def range_at(tier: int, range_ms: int) -> int:
    """How far back a window looks at a tier: far enough to hold some of its buckets."""
    return max(range_ms, _BUCKETS_IN_RANGE * tier)


def read_rows(
    connection: Connection,
    need: Need,
    series: Sequence[Matched],
    tier: int,
    floor_ms: int,
    most_samples: int,
    decoded: DecodedRows,
) -> Stored:
    """Reads what a need needs.

    Raises:
        InvalidInput: there are more samples than estimated, and too many.
    """
    range_ms = range_at(tier, need.range_ms)
    start_ms, end_ms = need.after_ms + 1 - (range_ms - need.range_ms), need.until_ms + 1
    if tier != RAW:
        start_ms, end_ms = start_ms - start_ms % tier, -(-end_ms // tier) * tier
    samples = 0

    def check(found: int) -> None:
        nonlocal samples
        samples = found
        if found > most_samples:
            raise too_many(found, most_samples)

    wanted = positions_of([matched.selected for matched in series])
    rows = read_layouts(connection, wanted, tier, start_ms, end_ms, floor_ms, decoded, check)
    return Stored(need, series, tier, range_ms, samples, rows)


def decode(stored: Stored, check: Callable[[int], None], missing: list[Missing]) -> Read:
    """The samples. ``check``: called for each series, raises when the query has to end."""
    samples_in = _raw if stored.tier == RAW else _rolled
    after_ms = stored.need.after_ms - (stored.range_ms - stored.need.range_ms)
    until_ms = stored.need.until_ms
    series = []
    for matched in stored.series:
        check(0)
        times, values = samples_in(matched, stored, missing)
        begin, end = np.searchsorted(times, (after_ms, until_ms), side="right")
        if end > begin:
            series.append((matched.labels, times[begin:end], values[begin:end]))
    return Read(Samples.of(series), stored.range_ms, rolled=stored.tier != RAW)


def _raw(matched: Matched, stored: Stored, missing: list[Missing]) -> tuple[Times, Values]:
    parts = []
    for place in matched.selected.places:
        for times, values in samples_of(matched.selected, place, stored.rows, missing):
            without_value = np.isnan(values)
            if without_value.any():
                without_value &= np.ascontiguousarray(values).view(np.int64) == ABSENT
                times, values = times[~without_value], values[~without_value]
            if len(times):
                parts.append((times, values))
    if not parts:
        return np.empty(0, np.int64), np.empty(0)
    if len(parts) == 1:
        return parts[0]
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    if not (times[1:] > times[:-1]).all():
        times, first = np.unique(times, return_index=True)
        values = values[first]
    return times, values


def _rolled(matched: Matched, stored: Stored, missing: list[Missing]) -> tuple[Times, Values]:
    """A sample for each bucket, at the time of its last."""
    selected = matched.selected
    parts = [
        part for place in selected.places for part in buckets_of(selected, place, stored.rows, stored.tier, missing)
    ]
    if not parts:
        return np.empty(0, np.int64), np.empty(0)
    rollup = SeriesRollup.joined(parts)
    rollup = rollup.where(rollup.count > 0)
    values = _values(rollup, stored.need.aspect, counter=selected.counter)
    # Of a bucket that came in two parts, both have the same time at most.
    kept = np.append(rollup.last_ms[1:] > rollup.last_ms[:-1], True)[: len(values)]
    return rollup.last_ms[kept], values[kept]


def _values(rollup: SeriesRollup, aspect: Aspect, *, counter: bool) -> Values:
    last: Values = rollup.stats[LAST]
    if aspect is Aspect.COUNT:
        return rollup.count.astype(np.float64)
    if counter:
        if aspect is not Aspect.GROWTH or not len(last):
            return last
        # A counter that never was reset, and grew as much.
        before_first, grown, _ = growth_of(rollup, counter=True)
        increases = np.zeros(len(last))
        increases[np.isin(rollup.last_ms, before_first.last_ms)] = grown
        increases[0] = 0.0
        risen: Values = last[0] + np.cumsum(increases)
        return risen
    if aspect is Aspect.MEAN:
        mean: Values = rollup.stats[TOTAL] / rollup.count
        return mean
    row: Values = rollup.stats[_ROWS.get(aspect, LAST)]
    return row
