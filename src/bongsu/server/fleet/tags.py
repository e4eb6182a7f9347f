"""Tags that people give to servers, the same in every process: who may see a server depends on them."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from bongsu.server.database.database import Database
from bongsu.server.database.revisions import bump_revision, load_revisions
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.servers import load_tags

T = TypeVar("T")

PART = "servers"
POLL_SECONDS = 1.0


class ServerTags:
    """Keeps the tags in the registry up to date. One per process."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        self._revision: int | None = None

    async def change(self, function: Callable[[Connection], T]) -> T:
        """Runs ``function`` in a transaction that changes tags. This process knows the change on return, the others
        within POLL_SECONDS."""

        def run(connection: Connection) -> T:
            result = function(connection)
            bump_revision(connection, PART)
            return result

        result = await self._database.write(run)
        await self.refresh()
        return result

    async def refresh(self) -> None:
        """Loads the tags again if they have changed."""
        known = self._revision

        def load(connection: Connection) -> tuple[int | None, dict[int, dict[str, str]]]:
            revision = load_revisions(connection).get(PART)
            return revision, load_tags(connection) if revision != known else {}

        self._revision, tags = await self._database.read(load)
        for server_id, own_tags in tags.items():
            state = self._registry.by_id.get(server_id)
            if state is not None:
                state.record.own_tags = own_tags

    async def poll(self) -> None:
        """Keeps up with other processes until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # The next round tries again; health reports a database that cannot be reached.
            with contextlib.suppress(Exception):
                await self.refresh()
