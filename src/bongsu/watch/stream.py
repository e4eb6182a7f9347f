"""The connection to the live stream: authenticates, subscribes, renews the token, and comes back after failures.

What passes is tried again, after 1 s to 30 s; what does not, such as a refused token, raises. The close codes are those
of docs/live.md.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus

from bongsu.core.errors import BongsuError, Forbidden, InvalidInput, NotFound, TooMany, Unauthenticated, Unavailable
from bongsu.core.text import visible
from bongsu.watch.frames import Frames
from bongsu.watch.output import Output
from bongsu.watch.site import Site, reason
from bongsu.watch.tokens import Tokens
from bongsu.wire import live

_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 1.0, 30.0
# After a restart all clients come back: within some seconds, not at once.
_RESTART_SPREAD_SECONDS = 5.0
_OPEN_SECONDS = 15.0
# Whoever presses Ctrl-C does not wait for a dead peer.
_CLOSE_SECONDS = 1.0
# As the API server does. Half as long, a busy machine would look dead.
_PING_SECONDS = 15.0
# A message has at most some 512 KB of frames; descriptions of 10,000 streams come on top.
_MESSAGE_BYTES = 16 << 20
_RENEW_BEFORE_SECONDS = 60.0
_SUBSCRIPTION = 1

_TOO_LARGE, _RESTART, _MALFORMED = 1009, 1012, 4400
_REFUSED_TOKEN, _FORBIDDEN, _UNKNOWN_PROTOCOL, _TOO_MANY = 4401, 4403, 4406, 4429


def backoff_seconds(failures: int, chance: float) -> float:
    """Doubles from 1 s to 30 s, less a random quarter. ``chance``: 0..1."""
    doubled: float = _FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10)
    return min(_MAX_RETRY_SECONDS, doubled) * (1 - chance / 4)


class _Lost(Exception):
    """The connection ended, and the next one may work. ``restart``: the API server restarts."""

    def __init__(self, message: str, *, restart: bool = False) -> None:
        super().__init__(message)
        self.restart = restart


class LiveStream:
    """Watches one server."""

    def __init__(
        self,
        site: Site,
        tokens: Tokens,
        output: Output,
        wanted: live.Subscribe,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``wanted``: what to send; its ``id`` and ``since_ms`` are filled in here."""
        self._site = site
        self._tokens = tokens
        self._output = output
        self._wanted = replace(wanted, id=_SUBSCRIPTION, values=True, states=True, events=True)
        self._chance = chance
        self._frames = Frames()
        self._opened = False
        self._failures = 0
        self._refused = 0
        self._seen = 0
        self._subscribed = False
        # When to renew the token, by the clock of the event loop; None: it does not expire, or nobody can.
        self._renew_at: float | None = None

    async def run(self, *, once: bool = False) -> None:
        """Runs until cancelled; ``once``: until the newest frame of each stream has arrived.

        Raises:
            Unauthenticated: the token is refused, or the login has ended.
            NotFound: the server was deleted, or may not be seen any more.
            Unavailable: the first connection failed.
            BongsuError: the API server refuses for another reason, which it gives.
        """
        while True:
            try:
                await self._converse(once=once)
                return
            except (_Lost, Unavailable, TooMany) as error:
                if not self._opened:
                    raise error if isinstance(error, BongsuError) else Unavailable(str(error)) from None
                self._failures += 1
                chance = self._chance()
                seconds = backoff_seconds(self._failures, chance)
                if isinstance(error, _Lost) and error.restart:
                    seconds += chance * _RESTART_SPREAD_SECONDS
                self._output.waiting(seconds, str(error))
                await asyncio.sleep(seconds)

    async def _converse(self, *, once: bool) -> None:
        if self._refused:
            await self._tokens.fresh()
        async with await self._connect() as socket:
            self._frames.reconnected()
            self._subscribed, self._renew_at = False, None
            await self._send(socket, live.Authenticate(live.PROTOCOL, self._tokens.current))
            answered = False
            while not (once and answered and self._seen):
                message = await self._receive(socket)
                if message.welcome is not None:
                    await self._welcomed(socket, message.welcome, message.server_time_ms)
                answered = answered or bool(message.pongs)
                self._tell(message)

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self._site.socket_url,
                ssl=self._site.tls,
                proxy=True if self._site.uses_proxy else None,
                open_timeout=_OPEN_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                max_size=_MESSAGE_BYTES,
                user_agent_header="bongsu watch",
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise _Lost(f"{self._site.url} refuses live connections with HTTP {status}.") from None
        except TimeoutError:
            raise _Lost(f"{self._site.url} does not answer within {_OPEN_SECONDS:.0f} s.") from None
        except ImportError as error:  # what a SOCKS proxy needs
            raise BongsuError(f"The proxy in the environment cannot be used: {error}") from None
        except (OSError, EOFError, InvalidHandshake, InvalidProxy) as error:
            raise _Lost(f"Cannot reach the API server: {reason(error)}") from None

    async def _receive(self, socket: ClientConnection) -> live.ServerMessage:
        """The next message; renews the token when it is due."""
        while True:
            now = asyncio.get_running_loop().time()
            seconds = None if self._renew_at is None else max(0.0, self._renew_at - now)
            try:
                async with asyncio.timeout(seconds):
                    body = await socket.recv()
                return live.decode_server(body if isinstance(body, bytes) else body.encode())
            except TimeoutError:
                self._renew_at = None
                await self._renew(socket)
            except ConnectionClosed as closed:
                frame = closed.rcvd
                raise self._ended(frame.code if frame else None, frame.reason if frame else "") from None
            except (InvalidInput, ValueError):
                raise BongsuError(f"{self._site.url} answers, but not as a Bongsu API server.") from None

    async def _send(self, socket: ClientConnection, message: live.ClientMessage) -> None:
        try:
            await socket.send(live.encode_client(message))
        except ConnectionClosed as closed:
            frame = closed.rcvd
            raise self._ended(frame.code if frame else None, frame.reason if frame else "") from None

    async def _welcomed(self, socket: ClientConnection, expires_ms: int, server_time_ms: int) -> None:
        self._refused = 0
        if expires_ms and self._tokens.renewable:
            lifetime = (expires_ms - server_time_ms) / 1000
            # Halfway if it is short-lived.
            wait = max(lifetime - _RENEW_BEFORE_SECONDS, lifetime / 2)
            self._renew_at = asyncio.get_running_loop().time() + wait
        # The answer to Authenticate comes again with each new token.
        if not self._subscribed:
            self._subscribed = self._opened = True
            self._failures = 0
            self._output.connected()
            await self._send(socket, replace(self._wanted, since_ms=self._frames.since_ms))
            # Its answer comes after what the subscription begins with.
            await self._send(socket, live.Ping(1))

    async def _renew(self, socket: ClientConnection) -> None:
        """If this fails, the API server closes the connection when the token expires, and the next one tries again."""
        try:
            token = await self._tokens.fresh()
        except (Unavailable, TooMany):
            return
        await self._send(socket, live.Authenticate(live.PROTOCOL, token))

    def _tell(self, message: live.ServerMessage) -> None:
        for _, problem in message.refusals:
            text = visible(problem.message)
            if problem.code == "unknown_server":
                raise NotFound("The server was deleted, or you may not see it any more.", code=problem.code)
            if problem.code in ("too_many_requests", "too_many_streams", "unavailable"):
                raise Unavailable(text)
            raise BongsuError(text, code=problem.code, field=problem.field, limit=problem.limit)
        for streams, _ in message.subscriptions.values():
            self._output.selected(len(streams))
        for gap in message.gaps:
            self._output.gap(gap.start_ms, gap.end_ms)
        for frame in self._frames.take(message):
            self._seen += 1
            self._output.frame(frame)
        for state, _ in message.servers.values():
            if state is live.State.GONE:
                raise NotFound("The server was deleted, or you may not see it any more.", code="unknown_server")
            self._output.state(state)
        for event in message.events:
            self._output.event(event)
        if message.behind is not None:
            self._output.behind(message.behind)

    def _ended(self, code: int | None, text: str) -> Exception:
        """What to raise for a connection that was closed."""
        text = visible(text)
        if code == _REFUSED_TOKEN:
            self._refused += 1
            if self._tokens.renewable and self._refused == 1:
                # Perhaps it only expired while there was no connection.
                return _Lost("The access token has expired.")
            return Unauthenticated(f"The API server refuses the token: {text}")
        if code == _FORBIDDEN:
            return Forbidden(f"The API server refuses the connection: {text}")
        if code == _UNKNOWN_PROTOCOL:
            return BongsuError(f"This bongsu and the API server do not fit; update the older one. {text}")
        if code in (_TOO_LARGE, _MALFORMED):
            return BongsuError(f"The API server does not understand this bongsu; update the older one. {text}")
        if code == _TOO_MANY:
            return TooMany(text)
        if code == _RESTART:
            return _Lost("The API server restarts.", restart=True)
        return _Lost(text or "The connection was lost.")
