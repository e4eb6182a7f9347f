"""Answers history queries: which series, at which resolution, from which rows, and down to how many points."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from bongsu.core.buckets import nice_step
from bongsu.core.errors import InvalidInput
from bongsu.core.samples import Frame
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.columns import Aggregation, Points, Times, Values, aggregate
from bongsu.server.config import Limits
from bongsu.server.registry import DEFAULT_INTERVAL_MS, Registry
from bongsu.server.selection import Selection
from bongsu.server.storage.archive import StoredBlock, blocks_between
from bongsu.server.storage.blocks import Block, CorruptBlock
from bongsu.server.storage.database import Database
from bongsu.server.storage.frames import FrameTable, frames_between

logger = logging.getLogger(__name__)

# Growth needs the sample before the range; this many intervals back it is found unless the agent was away.
LOOKBACK_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: after this series, with the step of the pages before."""

    server_id: int
    series: str
    step_ms: int | None


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """``[start_ms, end_ms)`` of the selected series in at most ``max_points`` points each."""

    selection: Selection
    start_ms: int
    end_ms: int
    max_points: int
    step_ms: int | None = None
    aggregation: Aggregation | None = None
    limit: int = 500
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """The points of one series."""

    server_id: int
    series: Series
    aggregation: Aggregation
    points: Points


@dataclass(frozen=True, slots=True)
class History:
    """The answer. ``step_ms`` None: the stored samples as they are."""

    resolution: str
    step_ms: int | None
    series: list[SeriesHistory]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the database holds of one layout in the range."""

    blocks: list[StoredBlock]
    frames: list[Frame]


_Key = tuple[int, int]  # server id, layout id


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One series of one server and where its values stand: (layout, position) for each layout that holds it."""

    server_id: int
    series: Series
    places: list[tuple[Layout, int]]


class HistoryReader:
    """Runs history queries."""

    def __init__(self, database: Database, registry: Registry, limits: Limits) -> None:
        self._database = database
        self._registry = registry
        self._limits = limits

    async def run(self, query: HistoryQuery) -> History:
        """The points of every selected series, in the order of server and series.

        Raises:
            InvalidInput: more points than the limit allows.
            NotFound: an unknown server.
        """
        wanted, after = self._page(query)
        interval_ms = self._check_size(query, wanted)
        servers = list(dict.fromkeys(one.server_id for one in wanted))
        back_ms = max((self._registry.by_id[one].interval_ms for one in servers), default=0) * LOOKBACK_INTERVALS
        layouts = {(one.server_id, layout.id) for one in wanted for layout, _ in one.places}

        def fetch(connection: Connection) -> dict[_Key, _Rows]:
            start_ms, end_ms = query.start_ms - back_ms, query.end_ms
            return {
                key: _Rows(
                    blocks_between(connection, *key, start_ms, end_ms),
                    frames_between(connection, *key, start_ms, end_ms),
                )
                for key in layouts
            }

        rows = await self._database.read(fetch)
        step_ms, series = await asyncio.to_thread(_aggregate_all, wanted, rows, query, interval_ms)
        return History("raw", step_ms, series, None if after is None else Cursor(*after, step_ms))

    def _page(self, query: HistoryQuery) -> tuple[list[_Wanted], tuple[int, str] | None]:
        found: list[_Wanted] = []
        for state in query.selection.servers(self._registry):
            server_id = state.record.id
            if query.cursor is not None and server_id < query.cursor.server_id:
                continue
            places: dict[Series, list[tuple[Layout, int]]] = {}
            for layout in state.layouts.values():
                for position in query.selection.positions(layout):
                    places.setdefault(layout.series[position], []).append((layout, position))
            for series in sorted(places, key=str):
                if query.cursor is None or (server_id, str(series)) > (query.cursor.server_id, query.cursor.series):
                    found.append(_Wanted(server_id, series, places[series]))
            if len(found) > query.limit:
                break
        page = found[: query.limit]
        after = (page[-1].server_id, str(page[-1].series)) if len(found) > query.limit else None
        return page, after

    def _check_size(self, query: HistoryQuery, wanted: Iterable[_Wanted]) -> int:
        """The shortest interval of the servers. Raises InvalidInput when the answer could hold too many points."""
        intervals = [self._registry.by_id[one.server_id].interval_ms for one in wanted]
        interval_ms = min(intervals, default=DEFAULT_INTERVAL_MS)
        length_ms = query.end_ms - query.start_ms
        each = length_ms // query.step_ms if query.step_ms else min(query.max_points, length_ms // interval_ms)
        points = len(intervals) * each
        if points > self._limits.points_per_query:
            raise InvalidInput(
                f"The answer could hold {points:,} points; the limit is {self._limits.points_per_query:,}. "
                "Ask for fewer series, a shorter range or a longer step.",
                code="too_many_points",
                field="max_points",
                limit=self._limits.points_per_query,
            )
        return interval_ms


def _choose_step(
    query: HistoryQuery, wanted: list[_Wanted], opened: dict[_Key, list[Block | FrameTable]], interval_ms: int
) -> int | None:
    """None where every series fits into ``max_points`` as stored; else the step that covers what is there."""
    if query.cursor is not None:
        return query.cursor.step_ms
    if query.step_ms is not None:
        return query.step_ms
    samples: Counter[_Key] = Counter()
    earliest_ms = query.end_ms
    for key, sources in opened.items():
        for source in sources:
            first, end = np.searchsorted(source.times, (query.start_ms, query.end_ms))
            if first < end:
                samples[key] += int(end - first)
                earliest_ms = min(earliest_ms, int(source.times[first]))
    most = max((sum(samples[one.server_id, layout.id] for layout, _ in one.places) for one in wanted), default=0)
    if most <= query.max_points:
        return None
    return nice_step(query.end_ms - earliest_ms, query.max_points, at_least_ms=interval_ms)


def _aggregate_all(
    wanted: list[_Wanted], rows: dict[_Key, _Rows], query: HistoryQuery, interval_ms: int
) -> tuple[int | None, list[SeriesHistory]]:
    opened = {key: _open(one) for key, one in rows.items()}
    step_ms = _choose_step(query, wanted, opened, interval_ms)
    found = []
    for one in wanted:
        parts = []
        for layout, position in one.places:
            for source in opened[one.server_id, layout.id]:
                try:
                    parts.append((source.times, source.column(position)))
                except CorruptBlock:
                    logger.error("server %d: a block cannot be read: %s is incomplete", one.server_id, one.series)
        if not parts:
            continue
        times, values = _merge(parts)
        how = query.aggregation or (Aggregation.RATE if one.series.kind is Kind.COUNTER else Aggregation.AVG)
        points = aggregate(times, values, how, query.start_ms, query.end_ms, step_ms)
        if len(points.times):
            found.append(SeriesHistory(one.server_id, one.series, how, points))
    return step_ms, found


def _open(rows: _Rows) -> list[Block | FrameTable]:
    sources: list[Block | FrameTable] = []
    for stored in rows.blocks:
        try:
            if not stored.intact:
                raise CorruptBlock
            sources.append(Block.open(stored.data))
        except CorruptBlock:
            logger.error("server %d: the block at %d is corrupt", stored.server_id, stored.start_ms)
    if rows.frames:
        sources.append(FrameTable.of(rows.frames))
    return sources


def _merge(parts: list[tuple[Times, Values]]) -> tuple[Times, Values]:
    """Blocks, frames and layouts of one series in the order of time; of two samples at one time, the first."""
    if len(parts) == 1:
        return parts[0]
    times = np.concatenate([times for times, _ in parts])
    values = np.concatenate([values for _, values in parts])
    steps = np.diff(times)
    if (steps > 0).all():
        return times, values
    # A layout that holds no value of the series must not hide one that does.
    there = ~np.isnan(values)
    times, first = np.unique(times[there], return_index=True)
    return times, values[there][first]
