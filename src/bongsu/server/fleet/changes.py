"""Keeps the servers in memory in step with what other processes do: with what people change there (tags, retiring,
deleting), with layouts that the worker forgets, and with what agents send to other API servers. So any of several API
servers answers any question.

A change by people or the worker raises the revision of the servers. A push carries the revision at which it was
checked; its transaction checks it again if the revision has risen meanwhile (``storage/batches.py``). So no process
stores anything for a server or a layout that is gone, however late it learns of it. Another revision rises with new
servers and layouts. Frames that others have taken in are read from the database, as long as there are other API
servers.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.database import Database, Glance
from bongsu.server.database.leases import api_servers
from bongsu.server.database.revisions import REPORTED, SERVERS, load_revisions
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.servers import ServerRecord, load_servers
from bongsu.server.storage.foreign import foreign_servers
from bongsu.server.storage.frames import frames_after
from bongsu.server.storage.layouts import LayoutKey, layout_keys, load_some_layouts

T = TypeVar("T")
Publish = Callable[[ServerState, Sequence[Frame]], None]

POLL_SECONDS = 1.0
# A layout without a frame for this long is looked at only every DORMANT_SECONDS: a server of a year has dozens of them.
DORMANT_MS = HOUR_MS
DORMANT_SECONDS = 60
BEHIND_SECONDS = 5.0
# Of frames that came elsewhere after newer ones had come here, those that are at most so late are looked for: those who
# watch remember what they were sent for as long (``live/streams.py``).
LATE_MS = MINUTE_MS
# The same while nobody says when others take something in, for agents whose requests go to one and then to the other.
LATE_UNTOLD_MS = 10_000

# First and last time of frames, in ms.
Range = tuple[int, int]


@dataclass(slots=True)
class _Present:
    """What is stored."""

    servers: dict[int, ServerRecord]
    layouts: set[LayoutKey]
    new_layouts: dict[LayoutKey, Layout]
    foreign: set[int]


class FleetChanges:
    """One per process."""

    def __init__(self, database: Database, registry: Registry, clock: Clock, publish: Publish) -> None:
        """``publish`` gets the frames that other API servers have taken in; among them may be some that it has had."""
        # Whether others tell when they take something in.
        self.is_told: Callable[[], bool] = lambda: False
        self._publish = publish
        self._database = database
        self._glance = Glance(database)
        self._registry = registry
        self._clock = clock
        # Of what agents report.
        self._reported: int | None = None
        # Whether there are other API servers, and when this was last found out, by the clock that never jumps.
        self.others = False
        self._looked_at = clock.monotonic()
        # When the layouts that have long had no frame are due, by the clock that never jumps.
        self._dormant_due = -math.inf
        # The servers of which the worker assembles frames.
        self._foreign: set[int] = set()
        # The layouts of which there were new frames at the last look, however old: somebody sends what is past.
        self._moving: set[LayoutKey] = set()
        # Held while the registry changes by what was read from the database before.
        self._changing = asyncio.Lock()

    async def add(self, function: Callable[[Connection], ServerRecord]) -> ServerState:
        """Adds the server that ``function`` stores, unless it is known already."""
        return (await self.add_all(lambda connection: [function(connection)]))[0]

    async def add_all(self, function: Callable[[Connection], Sequence[ServerRecord]]) -> list[ServerState]:
        """Adds the servers that ``function`` stores, unless they are known already."""
        async with self._changing:
            return [self._registry.add(record) for record in await self._database.write(function)]

    async def change(self, function: Callable[[Connection], T]) -> T:
        """Runs ``function`` in a transaction that changes servers. This process knows the change on return, the others
        within POLL_SECONDS."""
        result = await self._database.write(function)
        await self.refresh()
        return result

    async def refresh(self, *, with_reported: bool = False) -> None:
        """Takes over what people and the worker have changed. ``with_reported``: and what agents have reported."""
        async with self._changing:
            registry = self._registry
            revisions = await self._database.read(load_revisions)
            changed = revisions.get(SERVERS, 0)
            reported = revisions.get(REPORTED, 0) if with_reported else self._reported
            if (changed, reported) == (registry.revision, self._reported):
                return
            # What arrives while the database is read must not be forgotten because it is not in the answer.
            servers = list(registry.by_id.values())
            newest = {
                (state.record.id, layout_id): state.newest.get(layout_id)
                for state in servers
                for layout_id in state.layouts
            }
            # The others may have got more named series.
            complete = {
                (state.record.id, layout.id)
                for state in servers
                for layout in state.layouts.values()
                if len(layout.named) == len(layout.series)
            }

            def load(connection: Connection) -> _Present:
                keys = set(layout_keys(connection))
                foreign = foreign_servers(connection)
                records = {record.id: record for record in load_servers(connection)}
                return _Present(records, keys, load_some_layouts(connection, sorted(keys - complete))[0], foreign)

            present = await self._database.read(load)
            for state in servers:
                record = present.servers.get(state.record.id)
                if record is None:
                    registry.remove(state)
                else:
                    state.record.own_tags, state.record.retired_ms = record.own_tags, record.retired_ms
                    state.record.agent, state.record.host = record.agent, record.host
                    state.record.clock_offset_ms = record.clock_offset_ms
                    state.record.clock_jump_ms = record.clock_jump_ms
            for server_id in present.servers.keys() - registry.by_id.keys():
                registry.add(present.servers[server_id])
            for key, layout in present.new_layouts.items():
                found = registry.by_id.get(key[0])
                if found is not None and found.layouts.get(key[1]) != layout:
                    found.add_layout(layout)
            for key in newest.keys() - present.layouts:
                found = registry.by_id.get(key[0])
                if found is not None and found.newest.get(key[1]) is newest[key]:
                    found.forget_layout(key[1])
                    registry.forgotten += 1
            self._foreign = present.foreign
            registry.generation += 1
            # Read before the rest, so what has changed since is read again.
            registry.revision, self._reported = changed, reported

    async def look(self) -> None:
        """Takes over all that has changed: what other API servers have taken in, and the frames that the worker has
        made of foreign samples."""
        if self.others:
            self._glance.forget()  # their leases end by themselves
        now_ms = self._clock.now_ms()
        api = await self._glance.read(lambda connection: api_servers(connection, now_ms))
        if api is not None:
            self.others = len(api) > 1
            try:
                await self._take_over(now_ms)
            except BaseException:
                self._glance.forget()
                raise
        self._looked_at = self._clock.monotonic()

    async def _take_over(self, now_ms: int) -> None:
        await self.refresh(with_reported=True)
        followed = self._registry.by_id if self.others else self._foreign
        if followed:
            with_dormant = self._clock.monotonic() >= self._dormant_due
            late: dict[int, int] = {}
            if self.others and not self.is_told():
                late = {id_: state.newest_ms - LATE_UNTOLD_MS for id_, state in self._registry.by_id.items()}
            await self._follow(followed, 0 if with_dormant else now_ms - DORMANT_MS, late)
            if with_dormant:
                self._dormant_due = self._clock.monotonic() + DORMANT_SECONDS

    @property
    def behind(self) -> bool:
        """Whether this process cannot see at present what other API servers take in."""
        return self.others and self._clock.monotonic() - self._looked_at > BEHIND_SECONDS

    async def hear(self, ranges: Mapping[int, Range] | None) -> None:
        """Others say of which servers they have committed frames, of which times; None: maybe of all."""
        if ranges is None:
            await self.look()
            return
        await self.refresh(with_reported=True)
        await self._follow(ranges.keys(), 0, {server_id: first_ms for server_id, (first_ms, _) in ranges.items()})

    async def _follow(self, server_ids: Collection[int], since_ms: int, late: Mapping[int, int]) -> None:
        """Takes over the frames of some servers that others have taken in. ``since_ms``: layouts without a frame since
        then are left out; ``late``: from when on frames of a server are looked for that are older than the newest."""
        in_service = [
            state
            for state in (self._registry.by_id.get(server_id) for server_id in list(server_ids))
            if state is not None and not state.retired
        ]
        after: dict[LayoutKey, int] = {}
        for state in in_service:
            before_ms = math.inf
            if state.record.id in late:
                before_ms = max(late[state.record.id], state.newest_ms - LATE_MS) - 1
            for layout in state.layouts_since(since_ms):
                after[state.record.id, layout.id] = int(min(state.last_ms(layout.id) or 0, before_ms))
        for key in self._moving - after.keys():
            moved = self._registry.by_id.get(key[0])
            if key[0] in server_ids and moved is not None and key[1] in moved.layouts:
                after[key] = moved.last_ms(key[1]) or 0
        moving: set[LayoutKey] = set()
        taken: dict[int, list[Frame]] = {}
        for server_id, frame in await self._database.read(lambda connection: frames_after(connection, after)):
            found = self._registry.by_id.get(server_id)
            if found is None or len(frame.values) != found.sizes.get(frame.layout_id):
                continue
            newest = found.newest.get(frame.layout_id)
            # It may have come here too while the database was read.
            if newest is None or frame.time_ms > newest.frame.time_ms:
                found.heard_ms = self._clock.now_ms()
                found.saw(frame)
                moving.add((server_id, frame.layout_id))
                taken.setdefault(server_id, []).append(frame)
            elif server_id in late and frame.time_ms >= late[server_id]:
                taken.setdefault(server_id, []).append(frame)
        self._moving = moving
        for server_id, frames in taken.items():
            found = self._registry.by_id.get(server_id)
            if found is not None:
                self._publish(found, frames)

    async def poll(self) -> None:
        """Keeps up with other processes until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # The next round tries again; health reports a database that cannot be reached.
            with contextlib.suppress(Exception):
                await self.look()
