"""Runs history queries: plan, then read and compute a few servers at a time."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection

from bongsu.core.buckets import nice_step
from bongsu.core.errors import BongsuError, InvalidInput
from bongsu.core.exposition import Durations
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.history.groups import Groups
from bongsu.server.history.plan import Plan
from bongsu.server.history.query import (
    Cursor,
    History,
    HistoryQuery,
    Missing,
    Resolution,
    SelectedSeries,
    SeriesHistory,
)
from bongsu.server.history.series import Rows, points_of_all
from bongsu.server.history.sources import read_layouts
from bongsu.server.history.task import Task, back_ms, check_samples, make_task, positions_of, stretch
from bongsu.server.storage.floors import floors

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

# Samples read at a time, by estimate: some 10 MB of compressed columns. A query takes this much memory plus its answer,
# however much it asks for.
CHUNK_SAMPLES = 20_000_000
# Queries that read more than this run one at a time, so that they never occupy all reading threads.
HEAVY_SAMPLES = 5_000_000
# A query that reads at most this is answered by one thread in one go, in a few ms: each change of threads takes 0.1 ms.
LIGHT_SAMPLES = 100_000
# The buckets of raw samples are kept for all series of a reading up to this many: 30 MB at a sample every 10 s, 130 MB
# at one a minute.
TOGETHER_SAMPLES = 2_000_000
# So many are handled on the event loop, in 2 ms; more in a thread.
SMALL_SERVERS = 10
SMALL_SERIES = 200


class HistoryReader:
    """Answers history queries. One per process."""

    def __init__(self, database: Database, limits: Limits, decoded: DecodedRows) -> None:
        self._database = database
        self._limits = limits
        self._decoded = decoded
        self._heavy = asyncio.Semaphore(1)
        self.durations = Durations()

    async def run(self, query: HistoryQuery, registry: Registry, *, known_tag: str | None = None) -> History:
        """The points of every selected series, ordered by server and series.

        ``known_tag``: an answer with this tag is returned without points, since the caller has them.

        Raises:
            InvalidInput: more points or samples than the limits allow, or samples that are no longer kept.
            NotFound: an unknown server.
        """
        return (await self.run_and(lambda answer: None, query, registry, known_tag))[0]

    async def run_and(
        self, function: Callable[[History], T], query: HistoryQuery, registry: Registry, known_tag: str | None = None
    ) -> tuple[History, T]:
        """The same, and what ``function``, which a thread calls, makes of it."""
        began = time.perf_counter()
        try:
            small = len(query.selection.server_ids or registry.by_id) <= SMALL_SERVERS
            if self._database.dialect == "sqlite":
                light = await self._database.read(partial(self._at_once, function, query, registry, known_tag))
                if isinstance(light, Task):
                    task = light
                else:
                    return light
            elif small:  # there the event loop reads
                task, rows = await self._database.read(partial(self._read_light, query, registry))
                if rows is not None:
                    return await asyncio.to_thread(self._answer_light, function, query, task, rows, known_tag)
            else:
                known_floors = await self._database.read(floors)
                task = await asyncio.to_thread(make_task, query, registry, known_floors, self._limits)
            answer = await self._in_turn(query, task, known_tag)
            return answer, await asyncio.to_thread(function, answer)
        finally:
            self.durations.add(time.perf_counter() - began)

    def _at_once(
        self,
        function: Callable[[History], T],
        query: HistoryQuery,
        registry: Registry,
        known_tag: str | None,
        connection: Connection,
    ) -> tuple[History, T] | Task:
        task, rows = self._read_light(query, registry, connection)
        return task if rows is None else self._answer_light(function, query, task, rows, known_tag)

    def _read_light(self, query: HistoryQuery, registry: Registry, connection: Connection) -> tuple[Task, Rows | None]:
        """What a query reads, and the rows if that is little."""
        task = make_task(query, registry, floors(connection), self._limits)
        if task.samples > LIGHT_SAMPLES:
            return task, None
        return task, self._fetch(connection, query, task.plan, task.page, task.floor_ms)

    def _answer_light(
        self, function: Callable[[History], T], query: HistoryQuery, task: Task, rows: Rows, known_tag: str | None
    ) -> tuple[History, T]:
        answer = History(Resolution.of(task.plan.tier), task.plan.step_ms)
        answer.tag = _tag(query, task.plan, task.page, rows)
        if answer.tag != known_tag:
            groups = self._groups(query, task.page)
            self._add(answer, groups, query, task.plan, task.page, rows)
            self._finish(answer, groups, task)
        return answer, function(answer)

    async def _alone(self, query: HistoryQuery, task: Task, known_tag: str | None = None) -> History:
        began = time.perf_counter()
        try:
            return await self._in_turn(query, task, known_tag)
        finally:
            self.durations.add(time.perf_counter() - began)

    async def _in_turn(self, query: HistoryQuery, task: Task, known_tag: str | None = None) -> History:
        if task.samples > HEAVY_SAMPLES:
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

    async def _read_shared(self, query: HistoryQuery, task: Task, reading: "_SharedReading") -> Rows | None:
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
    ) -> Task | BongsuError:
        large = len(query.selection.server_ids or registry.by_id) > SMALL_SERVERS
        try:
            return await _perhaps_in_a_thread(large, make_task, query, registry, known_floors, self._limits)
        except BongsuError as error:
            return error

    async def _answer(
        self, query: HistoryQuery, task: Task, known_tag: str | None, read: Rows | None = None
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
            plan = await asyncio.to_thread(self._add, answer, groups, query, plan, chunk, rows)
        await asyncio.to_thread(self._finish, answer, groups, task)
        return answer

    def _add(
        self,
        answer: History,
        groups: Groups | None,
        query: HistoryQuery,
        plan: Plan,
        page: Sequence[SelectedSeries],
        rows: Rows,
    ) -> Plan:
        """Adds the points of some series. Returns the plan of the next ones, whose step may have become longer."""
        for layout_rows in rows.values():
            answer.missing.extend(layout_rows.missing)
        plan, series = _compute(page, rows, query, plan, answer.missing)
        answer.step_ms = plan.step_ms
        if groups is None:
            answer.series.extend(series)
        else:
            groups.add_all(series)
        return plan

    def _finish(self, answer: History, groups: Groups | None, task: Task) -> None:
        if groups is not None:
            answer.series = groups.combined()
        answer.missing = list(dict.fromkeys(answer.missing))
        if answer.missing:
            logger.error(
                "history: %d time ranges cannot be read, the first is %s", len(answer.missing), answer.missing[0]
            )
        answer.next = None if task.after is None else Cursor(*task.after, answer.step_ms, task.plan.tier)

    def _groups(self, query: HistoryQuery, page: list[SelectedSeries]) -> Groups | None:
        if query.grouping is None:
            return None
        return Groups(query.grouping, {selected.server_id: selected.server.record.tags for selected in page})

    async def _read(self, query: HistoryQuery, plan: Plan, page: Sequence[SelectedSeries], floor_ms: int) -> Rows:
        return await self._database.read(lambda connection: self._fetch(connection, query, plan, page, floor_ms))

    def _fetch(
        self, connection: Connection, query: HistoryQuery, plan: Plan, page: Sequence[SelectedSeries], floor_ms: int
    ) -> Rows:
        samples = 0

        def check(found: int) -> None:
            # As many as there are, whatever interval the agent claims.
            nonlocal samples
            samples = found
            check_samples(found, self._limits)

        start_ms, end_ms = stretch(query, plan, page)
        wanted = positions_of(page)
        rows = read_layouts(connection, wanted, plan.tier, start_ms, end_ms, floor_ms, self._decoded, check)
        if samples > TOGETHER_SAMPLES:
            for layout in rows.values():
                layout.together = False
        return rows


async def _perhaps_in_a_thread(large: bool, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs a function, in a thread if its input is large."""
    return await asyncio.to_thread(function, *arguments, **named) if large else function(*arguments, **named)


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


def _share_reading(queries: Sequence[HistoryQuery], tasks: Sequence[Task | BongsuError]) -> list[_SharedReading]:
    """The reading of each query: those that read the same stretch of time at the same tier share one, but not too much
    at once."""
    readings: dict[tuple[int, ...], _SharedReading] = {}
    found = []
    for query, task in zip(queries, tasks, strict=True):
        if isinstance(task, BongsuError):
            found.append(_SharedReading())
            continue
        stretch = query.start_ms, query.end_ms, task.plan.tier, task.floor_ms, back_ms(task.page)
        samples = task.samples
        reading = readings.get(stretch)
        if reading is None or reading.samples + samples > HEAVY_SAMPLES:
            reading = readings[stretch] = _SharedReading()
        reading.page.extend(task.page)
        reading.samples += samples
        reading.left += 1
        found.append(reading)
    return found


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
    for selected, points in zip(page, points_of_all(page, rows, query, plan, missing), strict=True):
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
