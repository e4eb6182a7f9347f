"""Reads servers and samples for the evaluation: ``alerts.ports.Source`` on the database.

One statement reads the new frames by ranges of the key, one range for each layout that was used recently. If a server
sent nothing in those, the same cycle looks into its other layouts. Late frames are before the ranges and are not read.
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

# Changes of names, tags and intervals take effect within this time.
REFRESH_MS = MINUTE_MS
# A layout without frames for this long is read only if its server sends nothing in other layouts.
ACTIVE_MS = 900_000
# After a start each cycle fills windows for this long; 1,000 servers take two or three cycles.
FILL_SECONDS = 4.0
# After a start, the series of layouts without a frame for a day are not watched.
DORMANT_MS = DAY_MS


class DatabaseSource:
    """Remembers how far it has read each layout."""

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
        keys = {key for key in await self._database.read(layout_keys) if shard_of(key[0]) in shards}
        unchanged = frozenset(shards) == self._shards and keys == self._newest.keys()
        if unchanged and now_ms - self._refreshed_ms < REFRESH_MS:
            return False
        records = [record for record in await self._database.read(load_servers) if shard_of(record.id) in shards]
        if not unchanged:
            await self._read_layouts(keys, now_ms)
        registry = Registry()
        for record in records:
            state = registry.add(record)
            for layout in self._layouts.get(record.id, ()):
                state.add_layout(layout)
        before = {server.id: (server.name, server.tags, server.interval_ms) for server in fleet.servers.values()}
        after = {record.id: (record.agent.name, record.tags, record.agent.interval_ms) for record in records}
        self._registry, self._shards, self._refreshed_ms = registry, frozenset(shards), now_ms
        if unchanged and before == after:
            return False
        newest: dict[int, int] = {}
        for (server_id, _), time_ms in self._newest.items():
            newest[server_id] = max(newest.get(server_id, 0), time_ms)
        # Silence counts from the worker's start at the earliest: the API server may have been down before.
        servers = [
            WatchedServer(
                record.id,
                record.agent.name,
                record.tags,
                record.agent.interval_ms,
                newest.get(record.id, 0),
                self._started_ms,
            )
            for record in records
        ]
        layouts_in_use = {
            record.id: [
                layout
                for layout in self._layouts.get(record.id, ())
                if self._seen.get((record.id, layout.id), 0) > now_ms - DORMANT_MS
            ]
            for record in records
        }
        fleet.set_servers(servers, layouts_in_use)
        return True

    async def _read_layouts(self, keys: set[LayoutKey], now_ms: int) -> None:
        all_layouts = await self._database.read(load_layouts)
        server_ids = {server_id for server_id, _ in keys}
        self._layouts = {server_id: layouts for server_id, layouts in all_layouts.items() if server_id in server_ids}
        new_keys = keys - self._newest.keys()
        stored_newest = await self._database.read(lambda connection: newest_times(connection, sorted(new_keys)))
        kept = {key: time_ms for key, time_ms in self._newest.items() if key in keys}
        # All frames of a new layout are new, but old frames fire nothing, so the last minutes are enough.
        self._newest = kept | {key: max(stored_newest.get(key, 0) - 1, now_ms - ACTIVE_MS) for key in new_keys}
        # A layout without frames has just been added.
        self._seen = {key: self._seen.get(key, stored_newest.get(key, now_ms)) for key in keys}

    async def take_new(self, fleet: Fleet, now_ms: int) -> int:
        active = {key: time for key, time in self._newest.items() if self._seen.get(key, 0) > now_ms - ACTIVE_MS}
        frames = await self._database.read(lambda connection: frames_after(connection, active))
        heard = {server_id for server_id, _ in frames}
        others = {key: time for key, time in self._newest.items() if key not in active and key[0] not in heard}
        if others:
            frames += await self._database.read(lambda connection: frames_after(connection, others))
        for server_id, frame in frames:
            key = (server_id, frame.layout_id)
            self._newest[key] = max(self._newest[key], frame.time_ms)
            self._seen[key] = now_ms
        fleet.add_frames(frames, now_ms)
        return len(frames)

    async def fill(self, fleet: Fleet, now_ms: int) -> None:
        waiting = fleet.unfilled()
        reader = HistoryReader(self._database, self._limits)
        began = time.monotonic()
        for server_id, series in waiting.items():
            if time.monotonic() - began > FILL_SECONDS:
                return
            stored: dict[tuple[Series, int], tuple[Times, Values]] = {}
            for spacing_ms, span_ms in fleet.spans_ms(server_id).items():
                step_ms = max(1_000, spacing_ms) if spacing_ms else None
                query = HistoryQuery(
                    Selection((server_id,), frozenset(wanted.metric for wanted in series)),
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
                for part in history.series:
                    stored[part.series, spacing_ms] = np.asarray(part.points.times), np.asarray(part.points.values)
            fleet.fill(server_id, stored)
