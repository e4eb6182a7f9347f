"""Runs history queries: plan, then read and compute a few servers at a time."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection

from bongsu.core.buckets import nice_step
from bongsu.core.errors import BongsuError, InvalidInput
from bongsu.core.exposition import Durations
from bongsu.core.liveness import DEFAULT_INTERVAL_MS
from bongsu.core.series import Layout, Series
from bongsu.core.units import HOUR_MS
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.history.groups import Groups
from bongsu.server.history.plan import Plan, make_plan
from bongsu.server.history.query import (
    Cursor,
    History,
    HistoryQuery,
    Missing,
    Resolution,
    SelectedSeries,
    SeriesHistory,
)
from bongsu.server.history.rollups import needs_raw
from bongsu.server.history.series import Rows, points_of
from bongsu.server.history.sources import LayoutRows, open_layout, read_columns
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.floors import floors
from bongsu.server.storage.layouts import LayoutKey

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

# Growth needs the sample before the range; it is within this many intervals unless the agent was away.
LOOKBACK_INTERVALS = 3
# At a coarser tier, the bucket in which the range begins, and the one before it, of at most an hour each.
LOOKBACK_BUCKETS_MS = 2 * HOUR_MS
# Samples read at a time, by estimate: some 10 MB of compressed columns. A query takes this much memory plus its answer,
# however much it asks for.
CHUNK_SAMPLES = 20_000_000
# Queries that read more than this run one at a time, so that they never occupy all reading threads.
HEAVY_SAMPLES = 5_000_000
# The buckets of raw samples are kept for all series of a reading up to this many: 30 MB at a sample every 10 s, 130 MB
# at one a minute.
TOGETHER_SAMPLES = 2_000_000
# So many are handled on the event loop, in 2 ms; more in a thread.
SMALL_SERVERS = 10
SMALL_SERIES = 200


class HistoryReader:
    """Answers history queries. One per process."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._heavy = asyncio.Semaphore(1)
        self.durations = Durations()

    async def run(self, query: HistoryQuery, registry: Registry, *, known_tag: str | None = None) -> History:
        """The points of every selected series, ordered by server and series.

        ``known_tag``: an answer with this tag is returned without points, since the caller has them.

        Raises:
            InvalidInput: more points or samples than the limits allow, or samples that are no longer kept.
            NotFound: an unknown server.
        """
        known_floors = await self._database.read(floors)
        large = len(query.selection.server_ids or registry.by_id) > SMALL_SERVERS
        task = await _perhaps_in_a_thread(large, self._task, query, registry, known_floors)
        return await self._alone(query, task, known_tag)

    async def _alone(self, query: HistoryQuery, task: "_Task", known_tag: str | None = None) -> History:
        began = time.perf_counter()
        try:
            return await self._in_turn(query, task, known_tag)
        finally:
            self.durations.add(time.perf_counter() - began)

    async def _in_turn(self, query: HistoryQuery, task: "_Task", known_tag: str | None = None) -> History:
        if len(task.page) * task.samples_each > HEAVY_SAMPLES:
            async with self._heavy:
                return await self._answer(query, task, known_tag)
        return await self._answer(query, task, known_tag)

    async def run_together(
        self, queries: Sequence[HistoryQuery], registry: Registry
    ) -> AsyncIterator[History | BongsuError]:
        """Yields the answers to several queries, in their order; an error instead of one that cannot be answered.

        What queries over the same time have in common is read and decoded once: twelve charts of a day of 50 servers
        take half as long. One answer at a time is in memory, whatever the limits of each allow.
        """
        known_floors = await self._database.read(floors)
        tasks = [await self._try_task(query, registry, known_floors) for query in queries]
        shared = _share_reading(queries, tasks)
        for query, task, reading in zip(queries, tasks, shared, strict=True):
            if isinstance(task, BongsuError):
                yield task
                continue
            try:
                rows = await self._read_shared(query, task, reading)
                yield await (self._alone(query, task) if rows is None else self._answer(query, task, None, rows))
            except BongsuError as error:
                yield error

    async def _read_shared(self, query: HistoryQuery, task: "_Task", reading: "_SharedReading") -> Rows | None:
        """What all queries of a reading read; None: each is to read for itself."""
        if reading.rows is None and reading.left > 1:
            # Where it is too much for one reading, nothing is shared.
            with contextlib.suppress(InvalidInput):
                reading.rows = await self._read(query, task.plan, reading.page, task.floor_ms)
        rows, reading.left = reading.rows, reading.left - 1 if reading.rows is not None else 0
        if reading.left == 0:
            reading.rows = None
        return rows

    async def _try_task(
        self, query: HistoryQuery, registry: Registry, known_floors: Mapping[int, int]
    ) -> "_Task | BongsuError":
        large = len(query.selection.server_ids or registry.by_id) > SMALL_SERVERS
        try:
            return await _perhaps_in_a_thread(large, self._task, query, registry, known_floors)
        except BongsuError as error:
            return error

    def _task(self, query: HistoryQuery, registry: Registry, known_floors: Mapping[int, int]) -> "_Task":
        page, after = self._page(query, registry)
        intervals = [selected.interval_ms for selected in page] or [DEFAULT_INTERVAL_MS]
        interval_ms = min(intervals)
        earliest_ms = min((selected.server.oldest_ms for selected in page), default=query.start_ms)
        raw_only = next(
            (
                f"{query.aggregation_of(selected.series)} of {selected.series.metric}"
                for selected in page
                if _needs_raw(query, selected)
            ),
            None,
        )
        # A group takes a point from each of its members.
        at_least_ms = interval_ms if query.grouping is None else max(intervals)
        plan = make_plan(query, earliest_ms, interval_ms, at_least_ms, known_floors, raw_only=raw_only)
        length_ms = query.end_ms - max(query.start_ms, min(earliest_ms, query.end_ms))
        self._check_points(query, plan, len(page), length_ms, interval_ms)
        samples_each = length_ms // max(interval_ms, plan.tier) + 1
        self._check_samples(len(page) * samples_each)
        return _Task(page, after, plan, samples_each, known_floors[RAW])

    async def _answer(
        self, query: HistoryQuery, task: "_Task", known_tag: str | None, read: Rows | None = None
    ) -> History:
        """``read``: what has been read already, for other queries as well."""
        plan = task.plan
        answer = History(Resolution.of(plan.tier), plan.step_ms)
        groups = self._groups(query, task.page)
        chunks = list(_chunks(task.page, task.samples_each))
        for chunk in chunks:
            rows = await self._read(query, plan, chunk, task.floor_ms) if read is None else _rows_of(chunk, read)
            if len(chunks) == 1 and read is None:
                large = len(chunk) > SMALL_SERIES
                answer.tag = await _perhaps_in_a_thread(large, _tag, query, plan, chunk, rows)
                if answer.tag == known_tag:
                    return answer
            for layout_rows in rows.values():
                answer.missing.extend(layout_rows.missing)
            plan, series = await asyncio.to_thread(_compute, chunk, rows, query, plan, answer.missing)
            answer.step_ms = plan.step_ms
            if groups is None:
                answer.series.extend(series)
            else:
                await asyncio.to_thread(groups.add_all, series)
        if groups is not None:
            answer.series = await asyncio.to_thread(groups.combined)
        answer.missing = list(dict.fromkeys(answer.missing))
        if answer.missing:
            logger.error(
                "history: %d time ranges cannot be read, the first is %s", len(answer.missing), answer.missing[0]
            )
        answer.next = None if task.after is None else Cursor(*task.after, plan.step_ms, plan.tier)
        return answer

    def _page(self, query: HistoryQuery, registry: Registry) -> tuple[list[SelectedSeries], tuple[int, str] | None]:
        """The selected series of this page, and where the next one begins."""
        limit = query.limit if query.grouping is None else self._limits.points_per_query // 2
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

    def _groups(self, query: HistoryQuery, page: list[SelectedSeries]) -> Groups | None:
        if query.grouping is None:
            return None
        return Groups(query.grouping, {selected.server_id: selected.server.record.tags for selected in page})

    def _check_points(self, query: HistoryQuery, plan: Plan, count: int, length_ms: int, interval_ms: int) -> None:
        if query.step_ms is not None:
            length_ms = query.end_ms - query.start_ms
        points_each = length_ms // plan.step_ms if plan.step_ms else min(query.max_points, length_ms // interval_ms)
        limit = self._limits.points_per_query
        if count * points_each > limit:
            raise InvalidInput(
                f"The answer could hold {count * points_each:,} points; the limit is {limit:,}. "
                "Ask for fewer series, a shorter range or a longer step.",
                code="too_many_points",
                field="max_points",
                limit=limit,
            )

    def _check_samples(self, samples: int) -> None:
        if samples > self._limits.samples_per_query:
            raise InvalidInput(
                f"The query would read some {samples:,} samples; the limit is {self._limits.samples_per_query:,}. "
                "Ask for fewer series, a shorter range or a coarser resolution.",
                code="too_many_samples",
                field="start",
                limit=self._limits.samples_per_query,
            )

    async def _read(self, query: HistoryQuery, plan: Plan, page: Sequence[SelectedSeries], floor_ms: int) -> Rows:
        def fetch(connection: Connection) -> Rows:
            positions: dict[LayoutKey, set[int]] = {}
            back_ms = _back_ms(page)
            for selected in page:
                for place, position in selected.places:
                    positions.setdefault((selected.server_id, place.id), set()).add(position)
            start_ms, end_ms = query.start_ms - back_ms, query.end_ms
            if plan.tier != RAW:
                # Whole buckets, and the bucket before them.
                start_ms = query.start_ms - query.start_ms % plan.tier - max(back_ms, plan.tier)
                end_ms = -(-end_ms // plan.tier) * plan.tier
            rows: dict[LayoutKey, LayoutRows] = {}
            samples = 0
            for key, places in positions.items():
                layout = open_layout(connection, key, sorted(places), plan.tier, start_ms, end_ms, floor_ms)
                # As many as there are, whatever interval the agent claims.
                samples += layout.frames_stored * len(places)
                self._check_samples(samples)
                read_columns(connection, layout)
                rows[key] = layout
            if samples > TOGETHER_SAMPLES:
                for layout in rows.values():
                    layout.raw = {}
            return rows

        return await self._database.read(fetch)


async def _perhaps_in_a_thread(large: bool, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs a function, in a thread if its input is large."""
    return await asyncio.to_thread(function, *arguments, **named) if large else function(*arguments, **named)


@dataclass(frozen=True, slots=True)
class _Task:
    """What a query reads. ``after``: where the next page begins; ``samples_each``: of each series, by estimate."""

    page: list[SelectedSeries]
    after: tuple[int, str] | None
    plan: Plan
    samples_each: int
    floor_ms: int


def _back_ms(page: Sequence[SelectedSeries]) -> int:
    """How far before its range a query reads."""
    return max((selected.interval_ms * LOOKBACK_INTERVALS for selected in page), default=0)


def _rows_of(page: Sequence[SelectedSeries], rows: Rows) -> Rows:
    """The rows of some series among those of others."""
    keys = {(selected.server_id, place.id): None for selected in page for place, _ in selected.places}
    return {key: rows[key] for key in keys}


@dataclass(slots=True)
class _SharedReading:
    """Series that several queries read at once. ``rows``: once they are read, until ``left`` queries have used them."""

    page: list[SelectedSeries] = field(default_factory=list)
    samples: int = 0
    left: int = 0
    rows: Rows | None = None


def _share_reading(queries: Sequence[HistoryQuery], tasks: Sequence[_Task | BongsuError]) -> list[_SharedReading]:
    """The reading of each query: those that read the same stretch of time at the same tier share one, but not too much
    at once."""
    readings: dict[tuple[int, ...], _SharedReading] = {}
    found = []
    for query, task in zip(queries, tasks, strict=True):
        if isinstance(task, BongsuError):
            found.append(_SharedReading())
            continue
        stretch = query.start_ms, query.end_ms, task.plan.tier, task.floor_ms, _back_ms(task.page)
        samples = len(task.page) * task.samples_each
        reading = readings.get(stretch)
        if reading is None or reading.samples + samples > HEAVY_SAMPLES:
            reading = readings[stretch] = _SharedReading()
        reading.page.extend(task.page)
        reading.samples += samples
        reading.left += 1
        found.append(reading)
    return found


def _needs_raw(query: HistoryQuery, selected: SelectedSeries) -> bool:
    return needs_raw(query.aggregation_of(selected.series), counter=selected.counter)


def _chunks(page: list[SelectedSeries], samples_each: int) -> Iterator[list[SelectedSeries]]:
    size = max(1, CHUNK_SAMPLES // samples_each)
    for start in range(0, len(page), size):
        yield page[start : start + size]


def _tag(query: HistoryQuery, plan: Plan, page: Sequence[SelectedSeries], rows: Rows) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((query, plan, [(selected.server_id, str(selected.series)) for selected in page])).encode())
    for part in rows.values():
        part.add_to(digest)
    return digest.hexdigest()


def _compute(
    page: Sequence[SelectedSeries], rows: Rows, query: HistoryQuery, plan: Plan, missing: list[Missing]
) -> tuple[Plan, list[SeriesHistory]]:
    series = []
    for selected in page:
        points = points_of(selected, rows, query, plan, missing)
        if points is None or not len(points.times):
            continue
        if plan.step_ms is None and len(points.times) > query.max_points:
            # More points than the present interval implies: it was shorter earlier, or somebody looked at the server.
            # Steps below the interval would have no sample in most of the range.
            length_ms = query.end_ms - int(points.times[0])
            at_least_ms = min(each.interval_ms for each in page)
            step_ms = nice_step(length_ms, query.max_points, at_least_ms=at_least_ms)
            return _compute(page, rows, query, Plan(plan.tier, step_ms), missing)
        series.append(SeriesHistory(selected.server_id, selected.series, query.aggregation_of(selected.series), points))
    return plan, series
