"""Reads servers and samples for the evaluation: ``alerts.ports.Source`` on the database.

One statement reads the new frames by ranges of the key, one range for each layout that was used recently. If a server
sent nothing in those, the same cycle looks into its other layouts. Late frames are before the ranges and are not read,
unless a server sends nothing else: then its clock was set back (``_look_back``).
"""

import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.exc import DBAPIError

from bongsu.alerts.fleet import Fleet
from bongsu.alerts.ports import Report
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import SeriesKey
from bongsu.alerts.watched import WatchedServer
from bongsu.arrays import Times, Values
from bongsu.core.errors import BongsuError, Unavailable
from bongsu.core.samples import Frame
from bongsu.core.series import Layout, Series
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.database.leases import api_servers, shard_of
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.selection import Selection
from bongsu.server.fleet.servers import ServerRecord, layouts_in_service, load_servers
from bongsu.server.history import HistoryQuery, HistoryReader
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.storage.archive import newest_times
from bongsu.server.storage.frames import frame_times, frames_after
from bongsu.server.storage.layouts import LayoutKey, load_some_layouts

if TYPE_CHECKING:
    from bongsu.server.alerts.promql_rules import PromQLRules

logger = logging.getLogger(__name__)

# Changes of names, tags and intervals take effect within this time.
REFRESH_MS = MINUTE_MS
# A layout without frames for this long is read only if its server sends nothing in other layouts.
ACTIVE_MS = 900_000
# After a start each cycle fills windows for this long; 1,000 servers take two or three cycles.
FILL_SECONDS = 4.0
# If the database cannot answer, so many cycles try to fill the windows of a server: a minute.
FILL_ATTEMPTS = 6
# The series of layouts without a frame for a day are not watched, unless they have an alert.
DORMANT_MS = DAY_MS
# Of each server, the layouts that were used last: one that makes new layouts all the time must not slow down the rest.
MOST_LAYOUTS = 64
# Older layouts that are searched for a series with an alert.
MOST_SEARCHED = 256
# Servers that are looked at in one cycle because they are late. Each has at most some 700 frames that are not sealed.
MOST_LOOKED_AT = 100


@dataclass(slots=True)
class Cursor:
    """How far a layout has been read. ``seen_ms``: when it last had a frame. ``known``: times after it that have been
    read, from before the clock was set back. ``first``: not read since the worker took over its server, so what is
    there may have been stored long ago."""

    after_ms: int
    seen_ms: int
    first: bool
    known: set[int] = field(default_factory=set)


class DatabaseSource:
    """Remembers how far it has read each layout."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._cursors: dict[LayoutKey, Cursor] = {}
        # The content of the layouts in use.
        self._layouts: dict[LayoutKey, Layout] = {}
        # Why layouts in use cannot be read.
        self._broken: dict[LayoutKey, str] = {}
        self._texts: dict[int, frozenset[str]] = {}
        # Series with an alert that no stored layout has any more.
        self._lost: set[SeriesKey] = set()
        self._servers: frozenset[int] = frozenset()
        self._shards: frozenset[int] = frozenset()
        self._refreshed_ms: int | None = None
        # Server id -> layout id -> times of the unsealed frames at the last look, of servers that are late.
        self._looked_at: dict[int, dict[int, set[int]]] = {}
        self._registry = Registry()
        self._promql: PromQLRules | None = None
        # Server id -> how many times its windows could not be filled.
        self._failures: dict[int, int] = {}

    async def refresh(
        self, fleet: Fleet, shards: Collection[int], now_ms: int, open_keys: Collection[SeriesKey], report: Report
    ) -> None:
        keys = {key for key in await self._database.read(layouts_in_service) if shard_of(key[0]) in shards}
        unchanged = frozenset(shards) == self._shards and keys == self._cursors.keys()
        if unchanged and self._refreshed_ms is not None and 0 <= now_ms - self._refreshed_ms < REFRESH_MS:
            self._report_broken(report)
            return
        records = [
            record
            for record in await self._database.read(load_servers)
            if shard_of(record.id) in shards and not record.retired_ms
        ]
        new_keys = sorted(keys - self._cursors.keys())
        newest = await self._database.read(lambda connection: newest_times(connection, new_keys))
        cursors = {key: cursor for key, cursor in self._cursors.items() if key in keys}
        for key in new_keys:
            # All frames of a new layout are new, but old frames fire nothing, so the last minutes are enough.
            after_ms = max(newest.get(key, 0) - 1, now_ms - ACTIVE_MS)
            # A layout without frames has just been added.
            cursors[key] = Cursor(after_ms, newest.get(key, now_ms), key[0] not in self._servers)
        layouts = await self._contents(_in_use(cursors, now_ms), cursors, open_keys)
        self._report_broken(report)
        by_server: dict[int, list[Layout]] = defaultdict(list)
        for (server_id, _), layout in layouts.items():
            by_server[server_id].append(layout)
        fleet.set_servers([_watched(record, now_ms) for record in records], by_server)
        self._registry = Registry()
        for record in records:
            state = self._registry.add(record)
            for layout in by_server[record.id]:
                state.add_layout(layout)
        self._cursors, self._layouts = cursors, layouts
        self._servers = frozenset(record.id for record in records)
        self._shards, self._refreshed_ms = frozenset(shards), now_ms

    async def _contents(
        self, in_use: set[LayoutKey], cursors: Mapping[LayoutKey, Cursor], open_keys: Collection[SeriesKey]
    ) -> dict[LayoutKey, Layout]:
        """The layouts in use, and those of series that have an alert: it ends when there is evidence, not when its
        layout has been unused for long."""
        # Layouts with series without a name may have got more of them that have one.
        complete = {key for key, layout in self._layouts.items() if len(layout.named) == len(layout.series)}
        missing = sorted(in_use - complete)
        loaded, broken = await self._database.read(lambda connection: load_some_layouts(connection, missing))
        self._broken = broken
        known = {key: layout for key, layout in (self._layouts | loaded).items() if key in cursors}
        contents = {key: layout for key, layout in known.items() if key in in_use}
        self._lost.intersection_update(open_keys)
        sought = {key for key in open_keys if key.series} - self._lost
        servers = {key.server_id for key in sought}
        for (server_id, _), layout in contents.items():
            if server_id in servers:
                sought -= {SeriesKey(server_id, series) for series in self._texts_of(layout)}
        if sought:
            servers = {key.server_id for key in sought}
            older = sorted(
                (key for key in cursors if key[0] in servers and key not in known),
                key=lambda key: -cursors[key].seen_ms,
            )
            loaded, _ = await self._database.read(
                lambda connection: load_some_layouts(connection, older[:MOST_SEARCHED])
            )
            for key, layout in (known | loaded).items():
                if here := sought & {SeriesKey(key[0], series) for series in self._texts_of(layout)}:
                    contents[key] = layout
                    sought -= here
            # Not searched for again: retention has deleted their layouts.
            self._lost |= sought
        self._texts = {id(layout): self._texts[id(layout)] for layout in contents.values() if id(layout) in self._texts}
        return contents

    def _texts_of(self, layout: Layout) -> frozenset[str]:
        """The series of a layout as text. Equal layouts share one object, which is kept while it is in use."""
        texts = self._texts.get(id(layout))
        if texts is None:
            texts = self._texts[id(layout)] = frozenset(map(str, layout.series))
        return texts

    def _report_broken(self, report: Report) -> None:
        for (server_id, layout_id), why in self._broken.items():
            report.skipped["server", server_id] = f"its layout {layout_id} cannot be read: {why}"

    async def take_new(self, fleet: Fleet, now_ms: int) -> None:
        active = {key: cursor for key, cursor in self._cursors.items() if cursor.seen_ms > now_ms - ACTIVE_MS}
        frames = await self._after(active)
        heard = {server_id for server_id, _ in frames}
        others = {key: cursor for key, cursor in self._cursors.items() if key not in active and key[0] not in heard}
        frames += await self._after(others)
        frames += await self._look_back(fleet, {server_id for server_id, _ in frames}, now_ms)
        stored: list[tuple[int, Frame]] = []
        new: list[tuple[int, Frame]] = []
        for server_id, frame in frames:
            (stored if self._cursors[server_id, frame.layout_id].first else new).append((server_id, frame))
        for cursor in (*active.values(), *others.values()):
            cursor.first = False
        for server_id, frame in frames:
            cursor = self._cursors[server_id, frame.layout_id]
            cursor.after_ms, cursor.seen_ms = max(cursor.after_ms, frame.time_ms), now_ms
            cursor.known = {time_ms for time_ms in cursor.known if time_ms > cursor.after_ms} if cursor.known else set()
        fleet.add_frames(stored, now_ms, arrived=False)
        fleet.add_frames(new, now_ms)

    async def listening(self, now_ms: int) -> bool:
        return bool(await self._database.read(lambda connection: api_servers(connection, now_ms)))

    async def _after(self, cursors: Mapping[LayoutKey, Cursor]) -> list[tuple[int, Frame]]:
        if not cursors:
            return []
        after = {key: cursor.after_ms for key, cursor in cursors.items()}
        frames = await self._database.read(lambda connection: frames_after(connection, after))
        return [
            (server_id, frame)
            for server_id, frame in frames
            if frame.time_ms not in cursors[server_id, frame.layout_id].known
        ]

    async def _look_back(self, fleet: Fleet, heard: Collection[int], now_ms: int) -> list[tuple[int, Frame]]:
        """Frames that arrived with earlier times than those before. Only a second look tells which they are."""
        late = {
            server.id
            for server in fleet.servers.values()
            if server.id not in heard and now_ms - server.alive_ms > server.late_ms
        }
        self._looked_at = {server_id: times for server_id, times in self._looked_at.items() if server_id in late}
        looked = set(self._looked_at)
        # In turn, if there are many; the one that was looked at first is the first of the dictionary.
        chosen = [*sorted(late - looked), *self._looked_at][:MOST_LOOKED_AT]
        if not chosen:
            return []
        found: dict[LayoutKey, Cursor] = {}
        times = await self._database.read(lambda connection: frame_times(connection, sorted(chosen)))
        for key in times.keys() & self._cursors.keys():
            before = self._looked_at.get(key[0], {}).get(key[1], set())
            if key[0] in looked and (arrived := times[key] - before):
                cursor = found[key] = self._cursors[key]
                cursor.after_ms = min(arrived) - 1
                cursor.known = {time_ms for time_ms in before if time_ms > cursor.after_ms}
        for server_id in chosen:
            self._looked_at.pop(server_id, None)
            self._looked_at[server_id] = {}
        for (server_id, layout_id), of_layout in times.items():
            self._looked_at[server_id][layout_id] = of_layout
        for server_id in {server_id for server_id, _ in found}:
            logger.warning("the clock of %s was set back", fleet.servers[server_id].name)
            fleet.clock_set_back(server_id)
        return await self._after(found)

    async def answers(
        self, fleet: Fleet, rules: Mapping[int, Rule], now_ms: int, report: Report
    ) -> Mapping[int, Mapping[SeriesKey, float]]:
        if self._promql is None:
            from bongsu.server.alerts.promql_rules import PromQLRules  # 8 MB, for nothing without such rules

            self._promql = PromQLRules(self._database, self._limits)
        return await self._promql.answers(rules, now_ms, report)

    async def fill(self, fleet: Fleet, now_ms: int, report: Report) -> None:
        reader = HistoryReader(self._database, self._limits, DecodedRows())
        began = time.monotonic()
        unfilled = fleet.unfilled()
        self._failures = {server_id: count for server_id, count in self._failures.items() if server_id in unfilled}
        # Those that failed before come last, so that one whose history takes long does not keep the others waiting.
        for server_id in sorted(unfilled, key=lambda server_id: self._failures.get(server_id, 0)):
            if time.monotonic() - began > FILL_SECONDS:
                return
            stored: dict[tuple[Series, int], tuple[Times, Values]] = {}
            try:
                for spacing_ms, span_ms in fleet.spans_ms(server_id).items():
                    query = self._window_query(server_id, unfilled[server_id], spacing_ms, span_ms, now_ms)
                    history = await reader.run(query, self._registry)
                    for part in history.series:
                        stored[part.series, spacing_ms] = np.asarray(part.points.times), np.asarray(part.points.values)
            except Exception as error:
                if self._is_tried_again(server_id, error, report):
                    continue
            fleet.fill(server_id, stored, now_ms)

    def _window_query(
        self, server_id: int, series: Collection[Series], spacing_ms: int, span_ms: int, now_ms: int
    ) -> HistoryQuery:
        return HistoryQuery(
            Selection((server_id,), frozenset(wanted.metric for wanted in series)),
            now_ms - span_ms,
            now_ms + self._limits.ahead_seconds * 1000,
            10_000,
            max(1_000, spacing_ms) if spacing_ms else None,
            Aggregation.LAST,
            5_000,
        )

    def _is_tried_again(self, server_id: int, error: Exception, report: Report) -> bool:
        """Reports that the history of a server cannot be read. Returns whether the next cycle tries again; if not, its
        windows fill with what arrives from now on."""
        passing = isinstance(error, Unavailable | DBAPIError | sqlite3.Error)
        why = error.message if isinstance(error, BongsuError) else type(error).__name__
        report.skipped["server", server_id] = f"its history cannot be read: {why}"
        failures = self._failures[server_id] = self._failures.get(server_id, 0) + 1
        if passing and failures < FILL_ATTEMPTS:
            return True
        logger.error("the history of server %d cannot be read", server_id, exc_info=error)
        return False


def _watched(record: ServerRecord, now_ms: int) -> WatchedServer:
    """Silence counts from now at the earliest: the API server may have been down before."""
    return WatchedServer(record.id, record.agent.name, record.tags, record.agent.interval_ms, now_ms)


def _in_use(cursors: Mapping[LayoutKey, Cursor], now_ms: int) -> set[LayoutKey]:
    """The layouts whose series are watched."""
    by_server: dict[int, list[tuple[int, LayoutKey]]] = defaultdict(list)
    for key, cursor in cursors.items():
        if cursor.seen_ms > now_ms - DORMANT_MS:
            by_server[key[0]].append((-cursor.seen_ms, key))
    return {key for ranked in by_server.values() for _, key in sorted(ranked)[:MOST_LAYOUTS]}
