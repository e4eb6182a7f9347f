"""New events, whichever process has stored them, read from the database once a second; and whom they concern."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from functools import partial

from bongsu.core.events import Event, EventType
from bongsu.server.database.database import Database, Glance
from bongsu.server.fleet.events import events_after, last_event_id
from bongsu.server.fleet.registry import Registry
from bongsu.server.live.client import Client, Subscription

# More at a time wait for the next second.
MOST_EVENTS = 1_000
# The event of a new server may be seen before the server; it waits for so many looks.
LOOKS = 5
# A transaction that began earlier may end later, so ids do not become visible in order. An id that is still missing
# after so many looks belongs to a transaction that was rolled back.
PATIENCE = 30


class NewEvents:
    """One per process. Begins with the events that are stored after the first look."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._glance = Glance(database)
        self._registry = registry
        # Up to here every event was seen; and the ids after it that were seen.
        self._position: int | None = None
        self._ahead: set[int] = set()
        self._patience = PATIENCE
        self._taking = asyncio.Lock()
        # Events of servers that are not known yet, and for how many looks they still wait.
        self._waiting: list[tuple[Event, int]] = []

    async def take(self) -> list[Event]:
        """The events since the last call. Raises what the database raises; the next call continues."""
        async with self._taking:
            return await self._take()

    async def _take(self) -> list[Event]:
        if self._position is None:
            self._position = await self._database.read(last_event_id)
        limit = MOST_EVENTS + len(self._ahead)
        found = await self._glance.read(partial(events_after, event_id=self._position, limit=limit)) or []
        if len(found) >= limit:
            self._glance.forget()  # there are more
        new = [event for event in found if event.id not in self._ahead]
        self._ahead.update(event.id for event in new)
        self._position = self._follow(self._position)
        told, waiting = [], []
        for event, looks in [*self._waiting, *((event, LOOKS) for event in new)]:
            if event.server_id == 0 or event.server_id in self._registry.by_id or not looks:
                told.append(event)
            else:
                waiting.append((event, looks - 1))
        self._waiting = waiting
        return told

    def _follow(self, position: int) -> int:
        self._patience = self._patience - 1 if self._ahead else PATIENCE
        if self._ahead and not self._patience:
            position, self._patience = min(self._ahead) - 1, PATIENCE
        while position + 1 in self._ahead:
            position += 1
            self._ahead.remove(position)
            self._patience = PATIENCE
        return position


def concerned(
    event: Event, registry: Registry, clients: Iterable[Client], selecting: Collection[Subscription]
) -> dict[Client, None]:
    """The clients that want to know of an event. ``selecting``: the subscriptions that select its server."""
    found: Iterable[Subscription] = selecting
    state = registry.by_id.get(event.server_id)
    # Of a server that has been retired since, what happened before is told too.
    if event.server_id == 0 or event.type is EventType.SERVER_RETIRED or (state is not None and state.retired):
        found = _of_everybody(event, registry, clients)
    return {subscription.client: None for subscription in found if subscription.events}


def _of_everybody(event: Event, registry: Registry, clients: Iterable[Client]) -> Iterator[Subscription]:
    state = registry.by_id.get(event.server_id)
    for client in clients:
        for subscription in client.subscriptions.values():
            if event.server_id == 0:  # Bongsu itself
                wanted = subscription.selection.all_servers and not client.principal.restricted
            else:
                # Selections may leave out retired servers, but not their last news.
                may_see = state is not None and client.principal.may_see(state.record)
                wanted = may_see and state is not None and subscription.selection.selects(state, retired=True)
            if wanted:
                yield subscription
