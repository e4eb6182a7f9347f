"""Runs history queries: plan, read, compute, some servers at a time."""

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from bongsu.core.buckets import nice_step
from bongsu.core.errors import InvalidInput
from bongsu.core.liveness import DEFAULT_INTERVAL_MS
from bongsu.core.series import Layout, Series
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.history.groups import Groups
from bongsu.server.history.plan import Plan, make_plan
from bongsu.server.history.query import Cursor, History, HistoryQuery, Missing, Resolution, SeriesHistory, Wanted
from bongsu.server.history.rollups import needs_raw
from bongsu.server.history.series import Rows, points_of
from bongsu.server.history.sources import read_layout
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.retention import floors

logger = logging.getLogger(__name__)

# Growth needs the sample before the range; this many intervals back it is found unless the agent was away.
LOOKBACK_INTERVALS = 3
# Samples read at a time, by estimate: some 10 MB of compressed columns. What a query takes of memory is this and its
# answer, however much it asks for.
CHUNK_SAMPLES = 20_000_000
# Queries that read more than this wait for each other, so that they never hold all reading threads.
HEAVY_SAMPLES = 5_000_000


class HistoryReader:
    """Answers history queries. One per process."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._heavy = asyncio.Semaphore(1)

    async def run(self, query: HistoryQuery, registry: Registry, *, known_tag: str | None = None) -> History:
        """The points of every selected series, in the order of server and series.

        ``known_tag``: when the answer would have this tag, it comes without points; the caller has them.

        Raises:
            InvalidInput: more points or samples than the limits allow, or samples that are no longer kept.
            NotFound: an unknown server.
        """
        wanted, after = self._page(query, registry)
        interval_ms = min((one.server.interval_ms for one in wanted), default=DEFAULT_INTERVAL_MS)
        earliest_ms = min((one.server.oldest_ms for one in wanted), default=query.start_ms)
        known_floors = await self._database.read(floors)
        raw_only = next(
            (f"{query.how(one.series)} of {one.series.metric}" for one in wanted if _needs_raw(query, one)), None
        )
        plan = make_plan(query, earliest_ms, interval_ms, known_floors, raw_only=raw_only)
        length_ms = query.end_ms - max(query.start_ms, min(earliest_ms, query.end_ms))
        self._check_points(query, plan, len(wanted), length_ms, interval_ms)
        each = length_ms // max(interval_ms, plan.tier) + 1
        self._check_samples(len(wanted) * each)
        if len(wanted) * each > HEAVY_SAMPLES:
            async with self._heavy:
                return await self._answer(query, plan, wanted, after, each, known_floors[RAW], known_tag)
        return await self._answer(query, plan, wanted, after, each, known_floors[RAW], known_tag)

    async def _answer(
        self,
        query: HistoryQuery,
        plan: Plan,
        wanted: list[Wanted],
        after: tuple[int, str] | None,
        each: int,
        floor_ms: int,
        known_tag: str | None,
    ) -> History:
        answer = History(Resolution.of(plan.tier), plan.step_ms)
        groups = self._groups(query, wanted)
        chunks = list(_chunks(wanted, each))
        for chunk in chunks:
            rows = await self._read(query, plan, chunk, floor_ms)
            if len(chunks) == 1:
                answer.tag = _tag(query, plan, wanted, rows)
                if answer.tag == known_tag:
                    return answer
            answer.missing.extend(one for part in rows.values() for one in part.missing)
            plan, found = await asyncio.to_thread(_compute, chunk, rows, query, plan, answer.missing)
            answer.step_ms = plan.step_ms
            if groups is None:
                answer.series.extend(found)
            else:
                for one in found:
                    groups.add(one)
        if groups is not None:
            answer.series = await asyncio.to_thread(groups.made)
        answer.missing = list(dict.fromkeys(answer.missing))
        if answer.missing:
            logger.error("history: %d stretches cannot be read, first %s", len(answer.missing), answer.missing[0])
        answer.next = None if after is None else Cursor(*after, plan.step_ms, plan.tier)
        return answer

    def _page(self, query: HistoryQuery, registry: Registry) -> tuple[list[Wanted], tuple[int, str] | None]:
        limit = query.limit if query.grouping is None else self._limits.points_per_query // 2
        found: list[Wanted] = []
        for state in query.selection.servers(registry):
            server_id = state.record.id
            if query.cursor is not None and server_id < query.cursor.server_id:
                continue
            places: dict[Series, list[tuple[Layout, int]]] = {}
            for layout in state.layouts.values():
                for position in query.selection.positions(layout):
                    places.setdefault(layout.series[position], []).append((layout, position))
            for series in sorted(places, key=str):
                if query.cursor is None or (server_id, str(series)) > (query.cursor.server_id, query.cursor.series):
                    found.append(Wanted(state, series, tuple(places[series])))
            if len(found) > limit:
                break
        page = found[:limit]
        after = (page[-1].server_id, str(page[-1].series)) if len(found) > limit else None
        return page, after

    def _groups(self, query: HistoryQuery, wanted: list[Wanted]) -> Groups | None:
        if query.grouping is None:
            return None
        return Groups(query.grouping, {one.server_id: one.server.record.tags for one in wanted})

    def _check_points(self, query: HistoryQuery, plan: Plan, count: int, length_ms: int, interval_ms: int) -> None:
        if query.step_ms is not None:
            length_ms = query.end_ms - query.start_ms
        each = length_ms // plan.step_ms if plan.step_ms else min(query.max_points, length_ms // interval_ms)
        if count * each > self._limits.points_per_query:
            raise InvalidInput(
                f"The answer could hold {count * each:,} points; the limit is {self._limits.points_per_query:,}. "
                "Ask for fewer series, a shorter range or a longer step.",
                code="too_many_points",
                field="max_points",
                limit=self._limits.points_per_query,
            )

    def _check_samples(self, samples: int) -> None:
        if samples > self._limits.samples_per_query:
            raise InvalidInput(
                f"Some {samples:,} samples would have to be read; the limit is {self._limits.samples_per_query:,}. "
                "Ask for fewer series, a shorter range or a coarser resolution.",
                code="too_many_samples",
                field="start",
                limit=self._limits.samples_per_query,
            )

    async def _read(self, query: HistoryQuery, plan: Plan, wanted: Sequence[Wanted], floor_ms: int) -> Rows:
        positions: dict[LayoutKey, list[int]] = {}
        back_ms = 0
        for one in wanted:
            back_ms = max(back_ms, one.server.interval_ms * LOOKBACK_INTERVALS)
            for layout, position in one.places:
                positions.setdefault((one.server_id, layout.id), []).append(position)
        start_ms, end_ms = query.start_ms - back_ms, query.end_ms
        if plan.tier != RAW:
            # Whole buckets, and one before them.
            start_ms = query.start_ms - query.start_ms % plan.tier - max(back_ms, plan.tier)
            end_ms = -(-end_ms // plan.tier) * plan.tier

        def fetch(connection: Connection) -> Rows:
            return {
                key: read_layout(connection, key, sorted(places), plan.tier, start_ms, end_ms, floor_ms)
                for key, places in positions.items()
            }

        return await self._database.read(fetch)


def _needs_raw(query: HistoryQuery, one: Wanted) -> bool:
    return needs_raw(query.how(one.series), counter=one.counter)


def _chunks(wanted: list[Wanted], each: int) -> Iterator[list[Wanted]]:
    size = max(1, CHUNK_SAMPLES // each)
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


def _tag(query: HistoryQuery, plan: Plan, wanted: list[Wanted], rows: Rows) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((query, plan, [(one.server_id, str(one.series)) for one in wanted])).encode())
    for part in rows.values():
        part.add_to(digest)
    return digest.hexdigest()


def _compute(
    wanted: Sequence[Wanted], rows: Rows, query: HistoryQuery, plan: Plan, missing: list[Missing]
) -> tuple[Plan, list[SeriesHistory]]:
    found = []
    for one in wanted:
        points = points_of(one, rows, query, plan, missing)
        if points is None or not len(points.times):
            continue
        if plan.step_ms is None and len(points.times) > query.max_points:
            # More than its interval let expect: it was shorter once.
            length_ms = query.end_ms - int(points.times[0])
            return _compute(wanted, rows, query, Plan(plan.tier, nice_step(length_ms, query.max_points)), missing)
        found.append(SeriesHistory(one.server_id, one.series, query.how(one.series), points))
    return plan, found
