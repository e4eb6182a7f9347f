"""Fills the registry from the database at start, and writes back when servers were last seen."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bongsu.core.liveness import DEFAULT_INTERVAL_MS, LATE_AFTER, LONGEST_INTERVAL_MS
from bongsu.core.samples import Frame
from bongsu.server.database.database import Database, is_damage
from bongsu.server.database.revisions import SERVERS, load_revisions
from bongsu.server.fleet.registry import Newest, Registry
from bongsu.server.fleet.servers import ServerRecord, load_servers, touch_servers
from bongsu.server.storage.archive import layout_ends, newest_block, oldest_samples
from bongsu.server.storage.blocks import CorruptBlock
from bongsu.server.storage.frames import frames_after, newest_frames
from bongsu.server.storage.layouts import LayoutKey, load_layouts

logger = logging.getLogger(__name__)

T = TypeVar("T")

STORE_SECONDS = 60
# A layout whose last frame is so much older than the newest of its server is not current, whatever its interval.
CURRENT_MS = LATE_AFTER * LONGEST_INTERVAL_MS
# Looking for the newest frames of each layout by itself takes 5 ms on Citus: more than a start may take from 15,000
# servers on. Some of the last intervals are enough for nearly all.
LAYOUTS_PER_READ = 500
FRAMES_READ = 3
# Less than a millisecond of the write lock.
SERVERS_PER_TRANSACTION = 100


def load_registry(connection: Connection) -> Registry:
    """All servers as the database knows them: their records, layouts and newest frames.

    What a damaged page held is left out, until the next frame: it must not keep the API server from starting.
    """
    registry = Registry(load_revisions(connection).get(SERVERS, 0))
    layouts = load_layouts(connection)
    ends = _readable(partial(layout_ends, connection)) or {}
    oldest = _readable(partial(oldest_samples, connection)) or {}
    current: dict[LayoutKey, int] = {}
    for record in load_servers(connection):
        state = registry.add(record)
        state.oldest_ms = min(state.oldest_ms, oldest.get(record.id, state.oldest_ms))
        of_server = layouts.get(record.id, [])
        newest_ms = max((ends.get((record.id, layout.id), 0) for layout in of_server), default=0)
        for layout in of_server:
            state.add_layout(layout)
            key = (record.id, layout.id)
            if key in ends:
                state.ended_ms[layout.id] = ends[key]
                if ends[key] >= newest_ms - CURRENT_MS:
                    current[key] = ends[key] - FRAMES_READ * (record.agent.interval_ms or DEFAULT_INTERVAL_MS)
    keys = list(current)
    for first in range(0, len(keys), LAYOUTS_PER_READ):
        _load_newest(connection, registry, {key: current[key] for key in keys[first : first + LAYOUTS_PER_READ]})
    return registry


def _load_newest(connection: Connection, registry: Registry, after: Mapping[LayoutKey, int]) -> None:
    """Loads the newest two frames of some layouts; most of them are later than ``after``."""
    later: dict[LayoutKey, list[Frame]] = {}
    for server_id, frame in _readable(partial(frames_after, connection, after)) or ():
        later.setdefault((server_id, frame.layout_id), []).append(frame)
    for key in after:
        newest = later.get(key, [])[:-3:-1]
        if len(newest) < 2:
            newest = _readable(partial(_newest_stored, connection, key)) or []
        state = registry.by_id[key[0]]
        # A damaged row, which the sealer will put into quarantine.
        newest = [frame for frame in newest if len(frame.values) == state.sizes[key[1]]]
        if newest:
            state.newest[key[1]] = Newest(newest[0], newest[1] if len(newest) > 1 else None)
            state.newest_ms = max(state.newest_ms, newest[0].time_ms)
            state.heard_ms = state.last_seen_ms = max(state.last_seen_ms, newest[0].time_ms)


def _readable(read: Callable[[], T]) -> T | None:
    """What ``read`` returns; None, if it meets a damaged page."""
    try:
        return read()
    except DBAPIError as error:
        if not is_damage(error):
            raise
        return None


def _newest_stored(connection: Connection, key: LayoutKey) -> list[Frame]:
    return newest_frames(connection, key) or _newest_sealed_frames(connection, key)


def _newest_sealed_frames(connection: Connection, key: LayoutKey) -> list[Frame]:
    """The last two frames of a layout whose frames are all sealed, newest first."""
    stored = newest_block(connection, key)
    if stored is None:
        return []
    try:
        head = stored.opened()
        rows = head.columns(stored.data, range(head.width))[-2:]
    except CorruptBlock:
        logger.error("server %d: the block at %d is corrupt", key[0], stored.info.start_ms)
        return []
    times = head.times[-2:].tolist()
    return [Frame(key[1], time_ms, row.tobytes()) for time_ms, row in zip(times[::-1], rows[::-1], strict=True)]


async def store_last_seen(database: Database, registry: Registry) -> None:
    """Stores when servers were last seen, where memory is ahead of the database."""
    behind: list[ServerRecord] = []
    for state in registry.by_id.values():
        if state.last_seen_ms > state.record.last_seen_ms:
            state.record.last_seen_ms = state.last_seen_ms
            behind.append(state.record)
    for first in range(0, len(behind), SERVERS_PER_TRANSACTION):
        await database.write(partial(touch_servers, seen=behind[first : first + SERVERS_PER_TRANSACTION]))


async def keep_last_seen(database: Database, registry: Registry) -> None:
    """Stores it every STORE_SECONDS until cancelled."""
    while True:
        await asyncio.sleep(STORE_SECONDS)
        try:
            await store_last_seen(database, registry)
        except Exception:
            # The next round writes it; after a restart the newest frames tell it as well.
            logger.debug("last_seen_ms not stored", exc_info=True)
