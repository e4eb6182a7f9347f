"""One WebSocket connection: what the client says, and what it is told, in two tasks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError, InvalidInput, TooLarge, TooMany
from bongsu.core.samples import PushError
from bongsu.server.auth.authenticator import Authenticator
from bongsu.server.auth.principal import Principal
from bongsu.server.fleet.selection import Selection, parse_filters
from bongsu.server.live.client import Client, Subscription
from bongsu.server.live.hub import UNAUTHENTICATED, Hub
from bongsu.wire import live

AUTHENTICATION_SECONDS = 10.0
# A client may read nothing for so long.
STALLED_SECONDS = 10.0
# After a message too many; no longer, so that a connection that is closed meanwhile is noticed.
TOO_MANY_SECONDS = 1.0
SUBSCRIPTIONS = 64
# Entries in each field of a subscription, and their length. Patterns are compared with the names, tags or labels of all
# servers: 16 with 1,000 take 16 ms.
ENTRIES, PATTERNS, ENTRY_BYTES = 1_000, 16, 512
# Servers whose agents a subscription has sample every second.
MOST_WATCHED = 4

# Close codes, beside 1000 (done), 1009 (message too large), 1011 (no answer to a ping) and 1012 (restart).
MALFORMED, UNKNOWN_PROTOCOL, TOO_SLOW, TOO_MANY = 4400, 4406, 4408, 4429


class Disconnected(Exception):
    """The client has closed the connection, or lost it."""


class Socket(Protocol):
    """An accepted WebSocket."""

    async def receive(self) -> bytes | str:
        """The next message. Raises Disconnected."""

    def send_at_once(self, message: bytes) -> bool:
        """Sends a message if there is room. Returns whether it did."""

    async def send(self, message: bytes) -> None:
        """Returns when there is room for another message. Raises Disconnected."""

    async def close(self, code: int, reason: str) -> None:
        """Closes the connection."""


class _Closed(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Conversation:
    """One per connection."""

    def __init__(
        self,
        socket: Socket,
        hub: Hub,
        clock: Clock,
        authenticator: Authenticator,
        address: str,
        *,
        count: Callable[[Principal], Awaitable[None]],
        connections_per_user: int,
    ) -> None:
        """``count`` counts the messages of a person or API token; raises TooMany above the rate limit."""
        self._socket = socket
        self._hub = hub
        self._clock = clock
        self._authenticator = authenticator
        self._address = address
        self._count = count
        self._connections_per_user = connections_per_user

    async def run(self) -> None:
        """Talks until one side closes the connection."""
        try:
            client = await self._begin()
            self._hub.join(client)
            try:
                await self._talk(client)
            finally:
                self._hub.leave(client)
        except Disconnected:
            pass
        except _Closed as closed:
            self._hub.closed[closed.code] += 1
            # A reason may have 123 bytes (RFC 6455, section 5.5.1).
            await self._socket.close(closed.code, closed.reason.encode()[:120].decode(errors="ignore"))

    async def _begin(self) -> Client:
        try:
            async with asyncio.timeout(AUTHENTICATION_SECONDS):
                message = await self._next()
        except TimeoutError:
            raise _Closed(UNAUTHENTICATED, "Send a token first.") from None
        except InvalidInput as error:
            raise _Closed(MALFORMED, error.message) from None
        if not isinstance(message, live.Authenticate):
            raise _Closed(UNAUTHENTICATED, "Send a token first.")
        if message.protocol != live.PROTOCOL:
            raise _Closed(UNKNOWN_PROTOCOL, f"This API server speaks protocol {live.PROTOCOL}.")
        try:
            principal = await self._authenticator.principal(message.token, self._address)
        except BongsuError as error:
            raise _Closed(UNAUTHENTICATED, error.message) from None
        if self._hub.connections_of(principal) >= self._connections_per_user:
            limit = self._connections_per_user
            raise _Closed(TOO_MANY, f"You have {limit} live connections already; that is the limit.")
        client = Client(principal, message.token)
        client.write = self._socket.send_at_once
        client.outbox.put(live.welcome(self._clock.now_ms(), principal.expires_ms))
        return client

    async def _talk(self, client: Client) -> None:
        tasks = [asyncio.create_task(self._read(client)), asyncio.create_task(self._write(client))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _write(self, client: Client) -> None:
        """Sends what there was no room for, and closes."""
        while True:
            await client.attention.wait()
            client.attention.clear()
            if client.unsent:
                await self._send_slowly(client.unsent)
                self._hub.post.sent(client)
            if client.closing is not None:
                message = client.take()
                if message:
                    await self._send_slowly(message)
                raise _Closed(*client.closing)

    async def _send_slowly(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._socket.send(message)
        except TimeoutError:
            raise _Closed(TOO_SLOW, "The connection is too slow.") from None

    async def _read(self, client: Client) -> None:
        while True:
            subscription_id = 0
            # Whoever asks for more than it reads has to wait.
            await client.outbox.room.wait()
            try:
                message = await self._next()
                await self._count(client.principal)
                if isinstance(message, live.Subscribe):
                    subscription_id = message.id
                await self._act(client, message)
            except BongsuError as error:
                if error.code == "malformed_message":
                    raise _Closed(MALFORMED, error.message) from None
                client.outbox.put(
                    live.refusal(PushError(error.code, error.message, error.field, error.limit), subscription_id)
                )
                if isinstance(error, TooMany):
                    await asyncio.sleep(TOO_MANY_SECONDS)

    async def _next(self) -> live.ClientMessage:
        message = await self._socket.receive()
        if isinstance(message, str):
            raise InvalidInput("Messages are binary: protobuf, not text.", code="malformed_message")
        return live.decode_client(message)

    async def _act(self, client: Client, message: live.ClientMessage) -> None:
        match message:
            case live.Ping(number):
                client.outbox.put(live.pong(number, self._clock.now_ms()))
            case live.Unsubscribe(subscription_id):
                await self._hub.unsubscribe(client, subscription_id)
            case live.Subscribe():
                if message.id not in client.subscriptions and len(client.subscriptions) >= SUBSCRIPTIONS:
                    raise TooLarge(
                        f"A connection may have {SUBSCRIPTIONS} subscriptions.",
                        code="too_many_subscriptions",
                        field="subscribe.id",
                        limit=SUBSCRIPTIONS,
                    )
                await self._hub.subscribe(client, _subscription(client, message), message.since_ms)
            case live.Authenticate(_, token):
                principal = await self._authenticator.principal(token, self._address)
                if principal.user_id != client.principal.user_id:
                    raise _Closed(UNAUTHENTICATED, "The token belongs to somebody else.")
                await self._hub.renew(client, principal, token)
                client.outbox.put(live.welcome(self._clock.now_ms(), principal.expires_ms))


def _subscription(client: Client, message: live.Subscribe) -> Subscription:
    if not message.id:
        raise InvalidInput("subscribe.id must be from 1 on.", field="subscribe.id", limit=1)
    if not (message.values or message.states or message.events):
        raise InvalidInput("subscribe: ask for values, states or events.", field="subscribe.values")
    if message.watch and not 1 <= len(message.server_ids) <= MOST_WATCHED:
        raise InvalidInput(
            f"subscribe.watch needs from 1 to {MOST_WATCHED} servers by id.",
            field="subscribe.servers",
            limit=MOST_WATCHED,
        )
    texts = {name: getattr(message, name) for name in ("names", "tags", "metrics", "types", "labels")}
    for name, entries in {"servers": message.server_ids, **texts}.items():
        limit = PATTERNS if name in ("names", "tags", "labels") else ENTRIES
        if len(entries) > limit:
            raise TooLarge(
                f"subscribe.{name} has {len(entries)} entries; the limit is {limit}.",
                field=f"subscribe.{name}",
                limit=limit,
            )
    for name, entries in texts.items():
        if any(len(entry.encode()) > ENTRY_BYTES for entry in entries):
            raise TooLarge(
                f"An entry of subscribe.{name} is longer than {ENTRY_BYTES} bytes.",
                field=f"subscribe.{name}",
                limit=ENTRY_BYTES,
            )
    selection = Selection(
        message.server_ids,
        frozenset(message.metrics),
        frozenset(message.types),
        parse_filters(message.labels, field="subscribe.labels"),
        message.names,
        parse_filters(message.tags, field="subscribe.tags"),
    )
    return Subscription(
        message.id,
        client,
        selection,
        message.min_interval_ms,
        message.values,
        message.states,
        message.events,
        message.watch,
    )
