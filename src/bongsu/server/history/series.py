"""From stored rows to the points of one series. Pure computation that runs in a thread."""

from collections.abc import Mapping

import numpy as np

from bongsu.arrays import Times, Values
from bongsu.core.series import Kind, Layout
from bongsu.server.history.aggregation import Aggregation, Points, aggregate, present
from bongsu.server.history.plan import Plan
from bongsu.server.history.query import HistoryQuery, Missing, SelectedSeries
from bongsu.server.history.rollups import SeriesRollup, aggregate_rollup
from bongsu.server.history.sources import BlockColumns, LayoutRows
from bongsu.server.storage.archive import RAW, SPAN_MS
from bongsu.server.storage.blocks import CorruptBlock
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.rollup import counters_of, of_frames

Rows = Mapping[LayoutKey, LayoutRows]


def points_of(
    selected: SelectedSeries, rows: Rows, query: HistoryQuery, plan: Plan, missing: list[Missing]
) -> Points | None:
    """The points of one series; None without any. Parts that cannot be read are added to ``missing``."""
    how = query.aggregation_of(selected.series)
    if plan.tier == RAW:
        samples = merged([part for place in selected.places for part in samples_of(selected, place, rows, missing)])
        if samples is None:
            return None
        counter = selected.counter
        if _is_growth_of_deltas(selected, how):
            samples, counter = _summed_up(*present(*samples), selected.interval_ms), True
        return aggregate(*samples, how, query.start_ms, query.end_ms, plan.step_ms, counter=counter)
    assert plan.step_ms is not None
    buckets = [part for place in selected.places for part in buckets_of(selected, place, rows, plan.tier, missing)]
    if not buckets:
        return None
    # Points count whole buckets, so the bucket in which the range begins counts as well.
    start_ms = query.start_ms - query.start_ms % plan.tier
    joined, counter = SeriesRollup.joined(buckets), selected.counter
    if _is_growth_of_deltas(selected, how):
        joined, counter = joined.summed_up(), True
    return aggregate_rollup(joined, how, start_ms, query.end_ms, plan.step_ms, counter=counter)


def _summed_up(times: Times, values: Values, interval_ms: int) -> tuple[Times, Values]:
    """The counter that would have grown by these deltas; the first was counted for an interval."""
    return np.append(times[:1] - interval_ms, times), np.append(np.zeros(len(times[:1])), np.cumsum(values))


def _is_growth_of_deltas(selected: SelectedSeries, how: Aggregation) -> bool:
    """Then they are added up to a counter, so that they grow as one."""
    return selected.series.kind is Kind.DELTA and how in (Aggregation.RATE, Aggregation.INCREASE)


def samples_of(
    selected: SelectedSeries, place: tuple[Layout, int], rows: Rows, missing: list[Missing]
) -> list[tuple[Times, Values]]:
    layout, position = place
    layout_rows = rows[selected.server_id, layout.id]
    parts = []
    for block in layout_rows.blocks:
        try:
            parts.append((block.head.times, block.column(position)))
        except CorruptBlock:
            missing.append(_missing(selected, block))
    if layout_rows.frames is not None:
        parts.append((layout_rows.frames.times, layout_rows.frames.column(position)))
    return parts


def buckets_of(
    selected: SelectedSeries, place: tuple[Layout, int], rows: Rows, tier: int, missing: list[Missing]
) -> list[SeriesRollup]:
    layout, position = place
    layout_rows = rows[selected.server_id, layout.id]
    parts = []
    for row in layout_rows.rollups:
        try:
            buckets = row.buckets(position, counter=selected.counter)
        except CorruptBlock:
            missing.append(_missing(selected, row))
            continue
        # Most rows have none; to ask each of their buckets would take a tenth of the time of a query.
        raw = [span_ms for span_ms in layout_rows.raw_spans if row.start_ms - SPAN_MS < span_ms < row.end_ms]
        parts.append(buckets.where(~np.isin(buckets.times - buckets.times % SPAN_MS, raw)) if raw else buckets)
    if layout_rows.raw is None:
        layout_rows.raw = _raw_buckets(layout, layout_rows, tier)
    if position in layout_rows.raw:
        return [*parts, layout_rows.raw[position]]
    samples = merged(samples_of(selected, place, rows, missing))
    if samples is not None:
        samples = present(*samples)
    if samples is not None and len(samples[0]):
        parts.append(SeriesRollup.of_samples(*samples, tier, counter=selected.counter))
    return parts


def _raw_buckets(layout: Layout, rows: LayoutRows, tier: int) -> dict[int, SeriesRollup]:
    """The buckets of the raw samples of all series that were read, made in one go: eight series take as long as two.

    Without those that have to be looked at one by one: they miss values, or a part of them cannot be read or came late.
    """
    sources = [(block.head.times, block.column) for block in rows.blocks]
    if rows.frames is not None:
        sources.append((rows.frames.times, rows.frames.column))
    if not sources:
        return {}
    times = np.concatenate([times for times, _ in sources])
    if not len(times) or not (times[1:] > times[:-1]).all():
        return {}
    full: dict[int, Values] = {}
    for position in rows.positions:
        try:
            values = np.concatenate([column(position) for _, column in sources])
        except CorruptBlock:
            continue
        if not np.isnan(values).any():
            full[position] = values
    if not full:
        return {}
    counters = counters_of([layout.series[position].kind for position in full])
    rollup = of_frames(times, np.stack([*full.values()], axis=1), counters, tier)
    return {
        position: SeriesRollup(rollup.times, rollup.first_ms, rollup.last_ms, rollup.count[:, i], rollup.stats[:, :, i])
        for i, position in enumerate(full)
    }


def _missing(selected: SelectedSeries, source: BlockColumns) -> Missing:
    return Missing(selected.server_id, source.start_ms, source.end_ms, str(selected.series))


def merged(parts: list[tuple[Times, Values]]) -> tuple[Times, Values] | None:
    """The samples of several blocks, frames and layouts, ordered by time; of two samples at one time, the first."""
    if len(parts) < 2:
        return parts[0] if parts else None
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    if (np.diff(times) > 0).all():
        return times, values
    # A layout without a value of the series must not hide another one's value.
    has_value = ~np.isnan(values)
    times, first = np.unique(times[has_value], return_index=True)
    return times, values[has_value][first]
