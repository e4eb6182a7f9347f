"""From stored rows to the points of one series. Pure computing: runs in a thread."""

from collections.abc import Mapping

import numpy as np

from bongsu.arrays import Times, Values
from bongsu.core.series import Layout
from bongsu.server.history.aggregation import Points, aggregate, present
from bongsu.server.history.plan import Plan
from bongsu.server.history.query import HistoryQuery, Missing, Wanted
from bongsu.server.history.rollups import SeriesRollup, aggregate_rollup
from bongsu.server.history.sources import BlockColumns, LayoutRows
from bongsu.server.storage.archive import RAW, SPAN_MS
from bongsu.server.storage.blocks import CorruptBlock
from bongsu.server.storage.layouts import LayoutKey

Rows = Mapping[LayoutKey, LayoutRows]


def points_of(one: Wanted, rows: Rows, query: HistoryQuery, plan: Plan, missing: list[Missing]) -> Points | None:
    """The points of one series; None when there is none. What cannot be read is added to ``missing``."""
    how = query.how(one.series)
    if plan.tier == RAW:
        samples = merged([part for place in one.places for part in _samples(one, place, rows, missing)])
        if samples is None:
            return None
        return aggregate(*samples, how, query.start_ms, query.end_ms, plan.step_ms, counter=one.counter)
    assert plan.step_ms is not None
    buckets = [part for place in one.places for part in _buckets(one, place, rows, plan.tier, missing)]
    if not buckets:
        return None
    # Points count whole buckets, so the one that the range begins in counts as well.
    start_ms = query.start_ms - query.start_ms % plan.tier
    joined = SeriesRollup.joined(buckets)
    return aggregate_rollup(joined, how, start_ms, query.end_ms, plan.step_ms, counter=one.counter)


def _samples(one: Wanted, place: tuple[Layout, int], rows: Rows, missing: list[Missing]) -> list[tuple[Times, Values]]:
    layout, position = place
    mine = rows[one.server_id, layout.id]
    parts = []
    for block in mine.blocks:
        try:
            parts.append(block.samples(position))
        except CorruptBlock:
            missing.append(_missing(one, block))
    if mine.frames is not None:
        parts.append((mine.frames.times, mine.frames.column(position)))
    return parts


def _buckets(
    one: Wanted, place: tuple[Layout, int], rows: Rows, tier: int, missing: list[Missing]
) -> list[SeriesRollup]:
    layout, position = place
    mine = rows[one.server_id, layout.id]
    found = []
    raw_spans = np.array(sorted(mine.raw_spans), np.int64)
    for row in mine.rollups:
        try:
            buckets = row.buckets(position, counter=one.counter)
        except CorruptBlock:
            missing.append(_missing(one, row))
            continue
        found.append(buckets.where(~np.isin(buckets.times - buckets.times % SPAN_MS, raw_spans)))
    samples = merged(_samples(one, place, rows, missing))
    if samples is not None:
        samples = present(*samples)
    if samples is not None and len(samples[0]):
        found.append(SeriesRollup.of_samples(*samples, tier, counter=one.counter))
    return found


def _missing(one: Wanted, source: BlockColumns) -> Missing:
    return Missing(one.server_id, source.start_ms, source.end_ms, str(one.series))


def merged(parts: list[tuple[Times, Values]]) -> tuple[Times, Values] | None:
    """Blocks, frames and layouts of one series in the order of time; of two samples at one time, the first."""
    if len(parts) < 2:
        return parts[0] if parts else None
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    if (np.diff(times) > 0).all():
        return times, values
    # A layout that holds no value of the series must not hide one that does.
    there = ~np.isnan(values)
    times, first = np.unique(times[there], return_index=True)
    return times, values[there][first]
