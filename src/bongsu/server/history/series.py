"""From stored rows to the points of one series. Pure computation that runs in a thread."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bongsu.arrays import Times, Values
from bongsu.core.series import Kind, Layout
from bongsu.server.history.aggregation import GROWTH, Aggregation, Points, aggregate, aggregate_all, present
from bongsu.server.history.plan import Plan
from bongsu.server.history.query import HistoryQuery, Missing, SelectedSeries
from bongsu.server.history.rollups import SeriesRollup, aggregate_rollup, aggregate_rollups
from bongsu.server.history.sources import BlockColumns, LayoutRows
from bongsu.server.storage.archive import RAW, SPAN_MS
from bongsu.server.storage.blocks import CorruptBlock
from bongsu.server.storage.layouts import LayoutKey

Rows = Mapping[LayoutKey, LayoutRows]


def points_of_all(
    page: Sequence[SelectedSeries], rows: Rows, query: HistoryQuery, plan: Plan, missing: list[Missing]
) -> list[Points | None]:
    """The points of each series; None without any. Parts that cannot be read are added to ``missing``."""
    found: list[Points | None] = [None] * len(page)
    # Aggregation -> the places on the page of the series that can be computed as one.
    together: dict[Aggregation, list[int]] = {}
    for place, selected in enumerate(page):
        how = query.aggregation_of(selected.series)
        if plan.step_ms is None or how in GROWTH or (selected.counter and plan.tier != RAW):
            found[place] = points_of(selected, rows, query, plan, missing)
        else:
            together.setdefault(how, []).append(place)
    for how, places in together.items():
        assert plan.step_ms is not None
        points: Sequence[Points]
        if plan.tier == RAW:
            samples = {place: _samples(page[place], rows, missing) for place in places}
            there = {place: own for place, own in samples.items() if own is not None}
            places = list(there)
            points = aggregate_all([*there.values()], how, query.start_ms, query.end_ms, plan.step_ms) if there else []
        else:
            buckets = [_buckets(page[place], rows, plan, missing) for place in places]
            points = aggregate_rollups(buckets, how, _first_bucket(query, plan), query.end_ms, plan.step_ms)
        for place, own in zip(places, points, strict=True):
            found[place] = own
    return found


def points_of(
    selected: SelectedSeries, rows: Rows, query: HistoryQuery, plan: Plan, missing: list[Missing]
) -> Points | None:
    """The points of one series; None without any."""
    how = query.aggregation_of(selected.series)
    if plan.tier == RAW:
        samples = _samples(selected, rows, missing)
        if samples is None:
            return None
        counter = selected.counter
        if _is_growth_of_deltas(selected, how):
            samples, counter = _summed_up(*present(*samples), selected.interval_ms), True
        return aggregate(*samples, how, query.start_ms, query.end_ms, plan.step_ms, counter=counter)
    assert plan.step_ms is not None
    buckets = _buckets(selected, rows, plan, missing)
    if not buckets:
        return None
    joined, counter = SeriesRollup.joined(buckets), selected.counter
    if _is_growth_of_deltas(selected, how):
        joined, counter = joined.summed_up(), True
    return aggregate_rollup(joined, how, _first_bucket(query, plan), query.end_ms, plan.step_ms, counter=counter)


def _samples(selected: SelectedSeries, rows: Rows, missing: list[Missing]) -> tuple[Times, Values] | None:
    return merged([part for place in selected.places for part in samples_of(selected, place, rows, missing)])


def _buckets(selected: SelectedSeries, rows: Rows, plan: Plan, missing: list[Missing]) -> list[SeriesRollup]:
    return [part for place in selected.places for part in buckets_of(selected, place, rows, plan.tier, missing)]


def _first_bucket(query: HistoryQuery, plan: Plan) -> int:
    """Points count whole buckets, so the bucket in which the range begins counts as well."""
    return query.start_ms - query.start_ms % plan.tier


def _summed_up(times: Times, values: Values, interval_ms: int) -> tuple[Times, Values]:
    """The counter that would have grown by these deltas; the first was counted for an interval."""
    return np.append(times[:1] - interval_ms, times), np.append(np.zeros(len(times[:1])), np.cumsum(values))


def _is_growth_of_deltas(selected: SelectedSeries, how: Aggregation) -> bool:
    """Then they are added up to a counter, so that they grow as one."""
    return selected.series.kind is Kind.DELTA and how in GROWTH


def samples_of(
    selected: SelectedSeries, place: tuple[Layout, int], rows: Rows, missing: list[Missing]
) -> list[tuple[Times, Values]]:
    layout, position = place
    layout_rows = rows[selected.server_id, layout.id]
    parts = []
    for block in layout_rows.blocks:
        try:
            parts.append((block.times, block.column(position)))
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
    if layout_rows.rolled_ms:
        return [*parts, *_raw_buckets(selected, place, layout_rows, missing)]
    samples = merged(samples_of(selected, place, rows, missing))
    if samples is not None:
        samples = present(*samples)
    if samples is not None and len(samples[0]):
        parts.append(SeriesRollup.of_samples(*samples, tier, counter=selected.counter))
    return parts


def _raw_buckets(
    selected: SelectedSeries, place: tuple[Layout, int], rows: LayoutRows, missing: list[Missing]
) -> Iterator[SeriesRollup]:
    """The buckets of the raw samples of one series, from each block and from the frames. A bucket may be in both."""
    layout, position = place
    positions = rows.positions if rows.together else (position,)
    for block in rows.blocks:
        found = block.row.rolled.get((position, rows.rolled_ms))
        if found is None:
            found = _rolled(layout, block, positions, rows).get(position)
        if found is None:
            missing.append(_missing(selected, block))
        elif len(found.times):
            yield found
    frames = rows.frames
    if frames is None:
        return
    if rows.rolled_frames is None or position not in rows.rolled_frames:
        columns = {each: frames.column(each) for each in positions}
        rows.rolled_frames = _buckets_of(layout, frames.times, columns, rows.rolled_ms)
    found = rows.rolled_frames[position]
    if len(found.times):
        yield found


def _rolled(layout: Layout, block: BlockColumns, positions: Sequence[int], rows: LayoutRows) -> dict[int, SeriesRollup]:
    """The buckets of some series of a block by position; those that cannot be read are left out."""
    columns: dict[int, Values] = {}
    for position in positions:
        if (position, rows.rolled_ms) not in block.row.rolled:
            with contextlib.suppress(CorruptBlock):
                columns[position] = block.values(position)
    found = _buckets_of(layout, block.times, columns, rows.rolled_ms)
    if rows.together:
        block.decoded.keep_rolled(block.row, found, rows.rolled_ms)
    return found


def _buckets_of(layout: Layout, times: Times, columns: Mapping[int, Values], step_ms: int) -> dict[int, SeriesRollup]:
    counters = {position for position in columns if layout.series[position].kind is Kind.COUNTER}
    return SeriesRollup.of_columns(times, columns, counters, step_ms)


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
