"""Keeps the servers in memory in step with changes that this or another process, or the worker, makes: their tags,
which of them are retired or deleted, and which layouts were forgotten.

A change raises the revision of the servers. A push carries the revision at which it was checked; its transaction checks
it again if the revision has risen meanwhile (``storage/batches.py``). So no process stores anything for a server or a
layout that is gone, however late it learns of it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from bongsu.server.database.database import Database
from bongsu.server.database.revisions import SERVERS, load_revisions
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.servers import Choices, ServerRecord, load_choices
from bongsu.server.storage.layouts import LayoutKey, layout_keys

T = TypeVar("T")

POLL_SECONDS = 1.0


@dataclass(slots=True)
class _Present:
    """What is stored. Empty if the revision has not changed."""

    revision: int
    servers: dict[int, Choices] = field(default_factory=dict)
    layouts: set[LayoutKey] = field(default_factory=set)


class FleetChanges:
    """One per process."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        # Held while the registry changes by what was read from the database before.
        self._changing = asyncio.Lock()

    async def add(self, function: Callable[[Connection], ServerRecord]) -> ServerState:
        """Adds the server that ``function`` stores, unless it is known already."""
        async with self._changing:
            return self._registry.add(await self._database.write(function))

    async def change(self, function: Callable[[Connection], T]) -> T:
        """Runs ``function`` in a transaction that changes servers. This process knows the change on return, the others
        within POLL_SECONDS."""
        result = await self._database.write(function)
        await self.refresh()
        return result

    async def refresh(self) -> None:
        """Takes over what has changed."""
        async with self._changing:
            registry = self._registry
            known = registry.revision
            # What arrives while the database is read must not be forgotten because it is not in the answer.
            servers = list(registry.by_id.values())
            newest = {
                (state.record.id, layout_id): state.newest.get(layout_id)
                for state in servers
                for layout_id in state.layouts
            }

            def load(connection: Connection) -> _Present:
                revision = load_revisions(connection).get(SERVERS, 0)
                if revision == known:
                    return _Present(revision)
                return _Present(revision, load_choices(connection), set(layout_keys(connection)))

            present = await self._database.read(load)
            if present.revision == known:
                return
            for state in servers:
                choices = present.servers.get(state.record.id)
                if choices is None:
                    registry.remove(state)
                else:
                    state.record.own_tags, state.record.retired_ms = choices
            for key in newest.keys() - present.layouts:
                found = registry.by_id.get(key[0])
                if found is not None and found.newest.get(key[1]) is newest[key]:
                    found.forget_layout(key[1])
            registry.revision = present.revision

    async def poll(self) -> None:
        """Keeps up with other processes until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # The next round tries again; health reports a database that cannot be reached.
            with contextlib.suppress(Exception):
                await self.refresh()
