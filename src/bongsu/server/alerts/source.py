"""Servers and samples for the evaluation: ``alerts.ports.Source`` on the database.

New frames are found by ranges of the key, one for each layout that sent lately, in one statement; what a server that
seems silent may have sent in another of its layouts is looked for in the same cycle. Late frames lie before the range
and are not read at all.
"""

import time
from collections.abc import Collection

import numpy as np

from bongsu.alerts.fleet import Fleet, WatchedServer
from bongsu.arrays import Times, Values
from bongsu.core.errors import BongsuError
from bongsu.core.series import Layout, Series
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.database.leases import shard_of
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.selection import Selection
from bongsu.server.fleet.servers import load_servers
from bongsu.server.history import HistoryQuery, HistoryReader
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.storage.archive import newest_times
from bongsu.server.storage.frames import frames_after
from bongsu.server.storage.layouts import LayoutKey, layout_keys, load_layouts

# Names, tags and intervals that people change count after this long.
REFRESH_MS = MINUTE_MS
# A layout that has sent nothing for so long is looked at only where its server sends nothing else.
ACTIVE_MS = 900_000
# At a start windows are filled for this long in each cycle; 1,000 servers take two or three.
FILL_SECONDS = 4.0
FILL_SERVERS = 10
# Series of a layout that no frame came of for a day are not watched after a start.
DORMANT_MS = DAY_MS


class DatabaseSource:
    """What is new since the last time."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._registry = Registry()
        self._layouts: dict[int, list[Layout]] = {}
        self._newest: dict[LayoutKey, int] = {}
        self._seen: dict[LayoutKey, int] = {}
        self._shards: frozenset[int] = frozenset()
        self._started_ms: int | None = None
        self._refreshed_ms = 0

    async def refresh(self, fleet: Fleet, shards: Collection[int], now_ms: int) -> bool:
        if self._started_ms is None:
            self._started_ms = now_ms
        mine = {key for key in await self._database.read(layout_keys) if shard_of(key[0]) in shards}
        same = frozenset(shards) == self._shards and mine == self._newest.keys()
        if same and now_ms - self._refreshed_ms < REFRESH_MS:
            return False
        records = [one for one in await self._database.read(load_servers) if shard_of(one.id) in shards]
        if not same:
            await self._read_layouts(mine, now_ms)
        registry = Registry()
        for record in records:
            state = registry.add(record)
            for layout in self._layouts.get(record.id, ()):
                state.add_layout(layout)
        before = {one.id: (one.name, one.tags, one.interval_ms) for one in fleet.servers.values()}
        after = {one.id: (one.agent.name, one.tags, one.agent.interval_ms) for one in records}
        self._registry, self._shards, self._refreshed_ms = registry, frozenset(shards), now_ms
        if same and before == after:
            return False
        newest: dict[int, int] = {}
        for (server_id, _), time_ms in self._newest.items():
            newest[server_id] = max(newest.get(server_id, 0), time_ms)
        # Silence counts from our own start: while we were away, the API server may have been as well.
        servers = [
            WatchedServer(
                one.id, one.agent.name, one.tags, one.agent.interval_ms, newest.get(one.id, 0), self._started_ms
            )
            for one in records
        ]
        awake = {
            one.id: [
                layout
                for layout in self._layouts.get(one.id, ())
                if self._seen.get((one.id, layout.id), 0) > now_ms - DORMANT_MS
            ]
            for one in records
        }
        fleet.set_servers(servers, awake)
        return True

    async def _read_layouts(self, mine: set[LayoutKey], now_ms: int) -> None:
        found = await self._database.read(load_layouts)
        servers = {server_id for server_id, _ in mine}
        self._layouts = {server_id: layouts for server_id, layouts in found.items() if server_id in servers}
        fresh = mine - self._newest.keys()
        stored = await self._database.read(lambda connection: newest_times(connection, sorted(fresh)))
        kept = {key: time_ms for key, time_ms in self._newest.items() if key in mine}
        # Of a layout that is new all frames are new, but old ones decide nothing: the last minutes are enough.
        self._newest = kept | {key: max(stored.get(key, 0) - 1, now_ms - ACTIVE_MS) for key in fresh}
        # A layout without a frame yet is one that has just come.
        self._seen = {key: self._seen.get(key, stored.get(key, now_ms)) for key in mine}

    async def take_new(self, fleet: Fleet, now_ms: int) -> int:
        active = {key: time for key, time in self._newest.items() if self._seen.get(key, 0) > now_ms - ACTIVE_MS}
        found = await self._database.read(lambda connection: frames_after(connection, active))
        heard = {server_id for server_id, _ in found}
        others = {key: time for key, time in self._newest.items() if key not in active and key[0] not in heard}
        if others:
            found += await self._database.read(lambda connection: frames_after(connection, others))
        for server_id, frame in found:
            key = (server_id, frame.layout_id)
            self._newest[key] = max(self._newest[key], frame.time_ms)
            self._seen[key] = now_ms
        fleet.take(found, now_ms)
        return len(found)

    async def fill(self, fleet: Fleet, now_ms: int) -> None:
        waiting = fleet.unfilled()
        reader = HistoryReader(self._database, self._limits)
        began = time.monotonic()
        for server_id, series in waiting.items():
            if time.monotonic() - began > FILL_SECONDS:
                return
            found: dict[tuple[Series, int], tuple[Times, Values]] = {}
            for spacing_ms, span_ms in fleet.spans_ms(server_id).items():
                step_ms = max(1_000, spacing_ms) if spacing_ms else None
                query = HistoryQuery(
                    Selection((server_id,), frozenset(one.metric for one in series)),
                    now_ms - span_ms,
                    now_ms + self._limits.ahead_seconds * 1000,
                    10_000,
                    step_ms,
                    Aggregation.LAST,
                    5_000,
                )
                try:
                    history = await reader.run(query, self._registry)
                except BongsuError:
                    continue
                for one in history.series:
                    found[one.series, spacing_ms] = np.asarray(one.points.times), np.asarray(one.points.values)
            fleet.fill(server_id, found)
