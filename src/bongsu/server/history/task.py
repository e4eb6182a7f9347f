"""What a query reads: its series, the resolution, and whether that is within the limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bongsu.core.errors import InvalidInput
from bongsu.core.liveness import DEFAULT_INTERVAL_MS
from bongsu.core.series import Layout, Series
from bongsu.core.units import HOUR_MS
from bongsu.server.config import Limits
from bongsu.server.fleet.registry import Registry
from bongsu.server.history.plan import Plan, make_plan
from bongsu.server.history.query import HistoryQuery, SelectedSeries
from bongsu.server.history.rollups import needs_raw
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.layouts import LayoutKey

# Growth needs the sample before the range; it is within this many intervals unless the agent was away.
LOOKBACK_INTERVALS = 3
# At a coarser tier, the bucket in which the range begins, and the one before it, of at most an hour each.
LOOKBACK_BUCKETS_MS = 2 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Task:
    """What a query reads. ``after``: where the next page begins; ``samples_each``: of each series, by estimate."""

    page: list[SelectedSeries]
    after: tuple[int, str] | None
    plan: Plan
    samples_each: int
    floor_ms: int

    @property
    def samples(self) -> int:
        """How many it reads, by estimate."""
        return len(self.page) * self.samples_each


def make_task(query: HistoryQuery, registry: Registry, floors: Mapping[int, int], limits: Limits) -> Task:
    """Plans a query.

    Raises:
        InvalidInput: more points or samples than the limits allow, or samples that are no longer kept.
        NotFound: an unknown server.
    """
    page, after = _page(query, registry, limits)
    intervals = [selected.interval_ms for selected in page] or [DEFAULT_INTERVAL_MS]
    interval_ms = min(intervals)
    earliest_ms = min((selected.server.oldest_ms for selected in page), default=query.start_ms)
    raw_only = next(
        (
            f"{query.aggregation_of(selected.series)} of {selected.series.metric}"
            for selected in page
            if needs_raw(query.aggregation_of(selected.series), counter=selected.counter)
        ),
        None,
    )
    # A group takes a point from each of its members.
    at_least_ms = interval_ms if query.grouping is None else max(intervals)
    plan = make_plan(query, earliest_ms, interval_ms, at_least_ms, floors, raw_only=raw_only)
    length_ms = query.end_ms - max(query.start_ms, min(earliest_ms, query.end_ms))
    _check_points(query, plan, len(page), length_ms, interval_ms, limits.points_per_query)
    samples_each = length_ms // max(interval_ms, plan.tier) + 1
    check_samples(len(page) * samples_each, limits)
    return Task(page, after, plan, samples_each, floors[RAW])


def _page(
    query: HistoryQuery, registry: Registry, limits: Limits
) -> tuple[list[SelectedSeries], tuple[int, str] | None]:
    """The selected series of this page, and where the next one begins."""
    limit = query.limit if query.grouping is None else limits.points_per_query // 2
    matches: list[SelectedSeries] = []
    for state in query.selection.servers(registry):
        server_id = state.record.id
        if query.cursor is not None and server_id < query.cursor.server_id:
            continue
        places: dict[Series, list[tuple[Layout, int]]] = {}
        for layout in state.layouts_since(query.start_ms - LOOKBACK_BUCKETS_MS, LOOKBACK_INTERVALS):
            for position in query.selection.positions(layout):
                places.setdefault(layout.series[position], []).append((layout, position))
        for series in sorted(places, key=str):
            if query.cursor is None or (server_id, str(series)) > (query.cursor.server_id, query.cursor.series):
                matches.append(SelectedSeries(state, series, tuple(places[series])))
        if len(matches) > limit:
            break
    page = matches[:limit]
    after = (page[-1].server_id, str(page[-1].series)) if len(matches) > limit else None
    return page, after


def _check_points(query: HistoryQuery, plan: Plan, count: int, length_ms: int, interval_ms: int, limit: int) -> None:
    if query.step_ms is not None:
        length_ms = query.end_ms - query.start_ms
    points_each = length_ms // plan.step_ms if plan.step_ms else min(query.max_points, length_ms // interval_ms)
    if count * points_each > limit:
        raise InvalidInput(
            f"The answer could hold {count * points_each:,} points; the limit is {limit:,}. "
            "Ask for fewer series, a shorter range or a longer step.",
            code="too_many_points",
            field="max_points",
            limit=limit,
        )


def check_samples(samples: int, limits: Limits) -> None:
    """Raises InvalidInput if a query would read, or has found, more samples than it may."""
    if samples > limits.samples_per_query:
        raise InvalidInput(
            f"The query would read some {samples:,} samples; the limit is {limits.samples_per_query:,}. "
            "Ask for fewer series, a shorter range or a coarser resolution.",
            code="too_many_samples",
            field="start",
            limit=limits.samples_per_query,
        )


def back_ms(page: Sequence[SelectedSeries]) -> int:
    """How far before its range a query reads."""
    return max((selected.interval_ms * LOOKBACK_INTERVALS for selected in page), default=0)


def stretch(query: HistoryQuery, plan: Plan, page: Sequence[SelectedSeries]) -> tuple[int, int]:
    """The range that is read: with what comes before it, and whole buckets of a rollup."""
    start_ms, end_ms = query.start_ms - back_ms(page), query.end_ms
    if plan.tier == RAW:
        return start_ms, end_ms
    # Whole buckets, and the bucket before them.
    start_ms = query.start_ms - query.start_ms % plan.tier - max(back_ms(page), plan.tier)
    return start_ms, -(-end_ms // plan.tier) * plan.tier


def positions_of(page: Sequence[SelectedSeries]) -> dict[LayoutKey, list[int]]:
    """The positions of the series in each layout that holds some of them, ascending."""
    positions: dict[LayoutKey, set[int]] = {}
    for selected in page:
        for place, position in selected.places:
            positions.setdefault((selected.server_id, place.id), set()).add(position)
    return {key: sorted(found) for key, found in positions.items()}
