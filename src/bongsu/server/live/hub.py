"""The hub: takes every committed frame, and hands it to the clients that watch its server.

For frames, nothing here reads the database. A frame costs nothing while nobody watches its server.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError, TooLarge, Unavailable
from bongsu.core.events import Event
from bongsu.core.samples import Frame
from bongsu.server.auth.authenticator import Authenticator
from bongsu.server.auth.principal import Principal
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.live.audiences import Audience, Audiences
from bongsu.server.live.client import Client, Subscription
from bongsu.server.live.events import concerned
from bongsu.server.live.post import Post
from bongsu.server.live.states import States
from bongsu.server.live.watched import Watched
from bongsu.wire import live

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
STREAMS_PER_CLIENT = 10_000
# Of all clients together: some 5 KB each.
STREAMS = 100_000
SELECTIONS = 1_000
# As many as the event loop looks at in some 3 ms.
SERVERS_AT_A_TIME = 100
CLIENTS_AT_A_TIME = 50

UNAUTHENTICATED = 4401


class Hub:
    """One per process."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        authenticator: Authenticator,
        people_revision: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``people_revision``: rises when users, sessions or API tokens change."""
        self.clients: dict[Client, None] = {}
        # Whether this process cannot see what others take in.
        self.is_behind: Callable[[], bool] = lambda: False
        # The events since the last call.
        self.new_events: Callable[[], Awaitable[Sequence[Event]]] = _no_events
        self.watched = Watched(monotonic)
        self.post = Post(lambda: len(self.clients))
        # Connections that this side closed, by close code; since the start, shown by /api/health.
        self.closed: Counter[int] = Counter()
        self._dropped_frames = 0
        self._registry = registry
        self._clock = clock
        self._authenticator = authenticator
        self._people_revision = people_revision
        self._monotonic = monotonic
        self._audiences = Audiences(registry, monotonic)
        self._states = States(registry, clock, self._watching_states)
        # Servers whose frames could not be handed on, so that each is logged once.
        self._failed: set[int] = set()
        self._selected: dict[tuple[Selection, frozenset[tuple[str, str]]], frozenset[int]] = {}
        self._generation = registry.generation
        self._behind = False
        self._people = people_revision()

    @property
    def dropped_frames(self) -> int:
        """Frames that were not sent to clients that were too slow, since the start."""
        return self._dropped_frames + sum(client.outbox.dropped for client in self.clients)

    @property
    def streams(self) -> int:
        """The number of streams."""
        return len(self._audiences.followed)

    def connections_of(self, principal: Principal) -> int:
        """How many connections a person or API token has open."""
        owner = (principal.kind, principal.id)
        return sum((client.principal.kind, client.principal.id) == owner for client in self.clients)

    def join(self, client: Client) -> None:
        """Adds a connection; ``leave`` must follow."""
        self.clients[client] = None
        self.post.join(client)
        if self._behind:
            client.outbox.put(live.behind(True))

    def leave(self, client: Client) -> None:
        """Removes a connection and all its subscriptions."""
        self.clients.pop(client, None)
        client.has_left = True
        self._dropped_frames += client.outbox.dropped
        for subscription in list(client.subscriptions.values()):
            self._end(subscription)

    async def subscribe(self, client: Client, wanted: Subscription, since_ms: int = 0) -> None:
        """Begins a subscription, in place of one with the same id. ``since_ms``: what the client has already.

        Raises:
            NotFound: a server that was selected by id does not exist, or the client may not see it.
            TooLarge: it would have more than STREAMS_PER_CLIENT streams.
            Unavailable: all clients together have more than STREAMS.
        """
        async with client.changing:
            try:
                await self._extend(wanted, self._select(wanted, all_must_exist=True))
                old = client.subscriptions.get(wanted.id)
                others = sum(len(other.streams) for other in client.subscriptions.values() if other is not old)
                if len(self._audiences.followed) > STREAMS:
                    raise Unavailable("The live stream has too many streams.", code="too_many_streams")
                if others + len(wanted.streams) > STREAMS_PER_CLIENT:
                    raise TooLarge(
                        f"The subscriptions of a connection may have {STREAMS_PER_CLIENT} streams.",
                        code="too_many_streams",
                        field="subscribe",
                        limit=STREAMS_PER_CLIENT,
                    )
            except BaseException:
                self._withdraw(wanted, wanted.server_ids)
                raise
            if old is not None:
                self._withdraw(old, old.server_ids)
            client.subscriptions[wanted.id] = wanted
            self._settle(client, since_ms)
            client.changed(wanted)
            if wanted.states:
                self._states.tell(client, wanted.server_ids)

    async def unsubscribe(self, client: Client, subscription_id: int) -> None:
        """Ends a subscription, if there is one."""
        async with client.changing:
            subscription = client.subscriptions.get(subscription_id)
            if subscription is not None:
                self._end(subscription)

    def publish(self, state: ServerState, frames: Sequence[Frame]) -> None:
        """Takes committed frames of a server, in the order of their commits."""
        audience = self._audiences.by_server.get(state.record.id)
        if audience is None:
            return
        try:
            self._publish(audience, state, frames)
        except Exception:  # the frames are stored, and those of other servers must be counted and handed on
            if state.record.id not in self._failed:
                self._failed.add(state.record.id)
                logger.exception("frames of server %d were not handed on to those who watch it", state.record.id)

    def _publish(self, audience: Audience, state: ServerState, frames: Sequence[Frame]) -> None:
        self._states.sends(state)
        by_layout: dict[int, list[Frame]] = {}
        for frame in frames:
            by_layout.setdefault(frame.layout_id, []).append(frame)
        for layout_id, of_layout in by_layout.items():
            streams = audience.streams.get(layout_id)
            if streams is None:
                streams, clients = self._audiences.new_layout(audience, state, layout_id)
                for client in clients:
                    self._settle(client)
            for followed in streams:
                followed.hand_on(of_layout)

    def missed(self, server_id: int, start_ms: int, end_ms: int) -> None:
        """Tells those who watch a server that frames of this range came, to another process, after newer ones;
        ``end_ms`` is inclusive."""
        for client in {each.client: None for each in self._audiences.subscriptions(server_id) if each.values}:
            client.outbox.missed(server_id, start_ms, end_ms)

    def missed_all(self, length_ms: int) -> None:
        """Tells all who watch anything that frames of the last ``length_ms`` may have come after newer ones."""
        now_ms = self._clock.now_ms()
        for server_id in list(self._audiences.by_server):
            self.missed(server_id, now_ms - length_ms, now_ms)

    def newest_ms(self, server_id: int) -> int:
        """The time of a server's newest frame that this process knows; 0: it knows none."""
        state = self._registry.by_id.get(server_id)
        return 0 if state is None else state.newest_ms

    async def run(self) -> None:
        """Follows time and changes until cancelled: states, servers that come and go, rights that end."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.look()
            except Exception:
                logger.exception("the live streams were not brought up to date; the next second tries again")

    async def look(self) -> None:
        """Does what ``run`` does every second."""
        await self._check_rights()
        behind = self.is_behind()
        if behind is not self._behind:
            self._behind = behind
            for client in self.clients:
                client.outbox.put(live.behind(behind))
        events = await self._events()
        if not self.clients and not self._audiences.followed:
            self._states.forget()
            return
        # Also those that select the server no more, and after that those that select it now.
        told = [(event, self._concerned(event)) for event in events]
        if self._registry.generation != self._generation:
            self._generation = self._registry.generation
            self._selected.clear()
            for client in list(self.clients):
                client.outbox.put(live.SERVERS_CHANGED)
                await self._fill_again(client)
        self._audiences.end_streams()
        if any(subscription.states for client in self.clients for subscription in client.subscriptions.values()):
            self._states.look_at_all()
        else:
            self._states.forget()
        for event, clients in told:
            part = live.event(event)
            for client in clients | self._concerned(event):
                client.outbox.put(part)

    async def _events(self) -> Sequence[Event]:
        try:
            return await self.new_events()
        except Exception:  # the next second reads them; health reports a database that cannot be reached
            return ()

    async def renew(self, client: Client, principal: Principal, token: str) -> None:
        """Goes on with another token of the same person."""
        rights = client.principal
        client.principal, client.token = principal, token
        if (principal.tags, principal.role) != (rights.tags, rights.role):
            await self._fill_again(client)

    async def _check_rights(self) -> None:
        now_ms, people = self._clock.now_ms(), self._people_revision()
        changed, self._people = people != self._people, people
        for index, client in enumerate(list(self.clients)):
            if client.principal.expires_ms and client.principal.expires_ms <= now_ms:
                client.close(UNAUTHENTICATED, "The token has expired.")
            elif changed:
                try:
                    principal = self._authenticator.known(client.token, client.principal.address)
                except BongsuError:
                    principal = None
                if principal is None:
                    client.close(UNAUTHENTICATED, "The token is not valid any more.")
                else:
                    await self.renew(client, principal, client.token)
                if index % CLIENTS_AT_A_TIME == CLIENTS_AT_A_TIME - 1:
                    await asyncio.sleep(0)

    async def _fill_again(self, client: Client) -> None:
        """Brings the subscriptions of a client up to date with the servers and its rights."""
        async with client.changing:
            for subscription in list(client.subscriptions.values()):
                before, now = subscription.server_ids, self._select(subscription)
                if before == now:
                    continue
                self._withdraw(subscription, before - now)
                await self._extend(subscription, now - before)
                client.changed(subscription)
                if subscription.states:
                    for server_id in before - now:
                        client.outbox.put(live.status(server_id, live.State.GONE, 0))
                    self._states.tell(client, now - before)
            self._settle(client)

    async def _extend(self, subscription: Subscription, server_ids: frozenset[int]) -> None:
        """Adds servers to a subscription, and what they send at present."""
        subscription.server_ids |= server_ids
        for server_id in server_ids:
            # First, so that layouts which arrive from now on are not missed.
            self._audiences.of(server_id).subscriptions[subscription] = None
            if subscription.watch:
                self.watched.begin(server_id)
        if not subscription.values:
            return
        for index, server_id in enumerate(sorted(server_ids)):
            state = self._registry.by_id.get(server_id)
            if state is not None:
                for stream in self._audiences.streams_of(state, subscription.selection):
                    subscription.streams[stream.id] = stream
            if index % SERVERS_AT_A_TIME == SERVERS_AT_A_TIME - 1:
                await asyncio.sleep(0)

    def _withdraw(self, subscription: Subscription, server_ids: frozenset[int]) -> None:
        """Removes servers from a subscription."""
        subscription.server_ids -= server_ids
        for server_id in server_ids:
            audience = self._audiences.by_server.get(server_id)
            if audience is not None:
                audience.subscriptions.pop(subscription, None)
            if subscription.watch:
                self.watched.end(server_id)
        for stream in list(subscription.streams.values()):
            if stream.server_id in server_ids:
                del subscription.streams[stream.id]

    def _select(self, subscription: Subscription, *, all_must_exist: bool = False) -> frozenset[int]:
        """The servers that are selected and visible. Those selected by id may have been deleted meanwhile."""
        selection, principal = subscription.selection, subscription.client.principal
        view = principal.view(self._registry)
        if selection.server_ids:
            if not all_must_exist:
                left = tuple(server_id for server_id in selection.server_ids if server_id in view.by_id)
                if not left:
                    return frozenset()
                selection = replace(selection, server_ids=left)
            return frozenset(state.record.id for state in selection.servers(view))
        key = (selection, principal.tags)
        found = self._selected.get(key)
        if len(self._selected) > SELECTIONS:
            self._selected.clear()
        if found is None or self._registry.generation != self._generation:
            found = self._selected[key] = frozenset(state.record.id for state in selection.servers(view))
        return found

    def _settle(self, client: Client, since_ms: int = 0) -> None:
        """Connects a client with the streams of its subscriptions, and sends the first frames of new ones."""
        begun, ended = client.settle()
        for stream_id in ended:
            followed = self._audiences.followed.get(stream_id)
            if followed is not None:
                followed.clients.pop(client, None)
                if not followed.clients:
                    followed.idle_since = self._monotonic()
        for stream_id in sorted(begun):
            followed = self._audiences.followed[stream_id]
            followed.clients[client] = None
            followed.idle_since = None
            stream = followed.stream
            client.define(stream)
            frames = list(stream.recent)[-1:]
            if since_ms:
                frames, begins_ms = stream.since(since_ms)
                if begins_ms > since_ms:
                    client.outbox.missed(stream.server_id, since_ms + 1, begins_ms - 1)
            for time_ms, part in frames:
                client.send(stream, time_ms, part)

    def _end(self, subscription: Subscription) -> None:
        self._withdraw(subscription, subscription.server_ids)
        client = subscription.client
        if client.subscriptions.get(subscription.id) is subscription:
            del client.subscriptions[subscription.id]
        self._settle(client)

    def _watching_states(self, server_id: int) -> Iterable[Client]:
        return {each.client: None for each in self._audiences.subscriptions(server_id) if each.states}

    def _concerned(self, event: Event) -> dict[Client, None]:
        return concerned(event, self._registry, self.clients, self._audiences.subscriptions(event.server_id))


async def _no_events() -> Sequence[Event]:
    return ()
