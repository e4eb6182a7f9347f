"""Keep-alive HTTP/1.1 on asyncio: requests as bytes, responses as they arrive, and a pool of connections.

A request carries its own token, so that simulated servers share connections. aiohttp or httpx would cost ten times as
much CPU for each request.
"""

import asyncio
import re
import ssl
from collections import deque
from typing import cast

from bongsu.wire.outcome import Response

MAX_HEADER_BYTES = 65_536
# A PushResponse takes under 100 bytes, an error page of a proxy more.
MAX_RESPONSE_BYTES = 1_048_576


_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,10})[ \t]*(?:\r|$)", re.IGNORECASE)
_LAST = re.compile(rb"^HTTP/1\.0|\r\nconnection:[ \t]*close", re.IGNORECASE)


class HttpError(OSError):
    """The response is not one that this client understands."""


class ClosedError(HttpError):
    """The connection was closed before the first byte of a response: the request may be repeated."""


def post(authority: str, path: str, token: str, content_type: str, body: bytes) -> bytes:
    """The bytes of a POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {content_type}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode("latin-1") + body


def _headers(head: bytes) -> dict[str, str]:
    """By name in lower case."""
    headers = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


class Connection(asyncio.Protocol):
    """One connection with one request at a time. Subclasses override ``responded`` and ``failed``.

    A response with status 200 comes without its headers: nobody needs them, and they take longer than all the rest.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._pending = b""
        self.closed = False
        # Whether the server takes another request on this connection.
        self.keeps_alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def write(self, request: bytes) -> None:
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._pending += data
        try:
            response = self._take_response()
        except HttpError as error:
            self.transport.abort()
            self.failed(error)
            return
        if response is not None:
            self.responded(response)

    def _take_response(self) -> Response | None:
        """The response; None if it is not complete yet. Raises HttpError."""
        head, complete, body = self._pending.partition(b"\r\n\r\n")
        if not complete:
            if len(head) > MAX_HEADER_BYTES:
                raise HttpError("the response's headers are too long")
            return None
        status = _STATUS.match(head)
        if status is None:
            raise HttpError("this is not an HTTP server")
        number = int(status[1])
        found = _LENGTH.search(head)
        length = 0 if number in (204, 304) else int(found[1]) if found else -1
        if not 0 <= length <= MAX_RESPONSE_BYTES:
            raise HttpError(f"status {number} with a body of unknown or excessive length")
        if len(body) < length:
            return None
        self._pending = b""
        self.keeps_alive = not _LAST.search(head)
        return Response(number, {} if number == 200 else _headers(head), body[:length])

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._pending:
            self.failed(HttpError("the response was cut short"))
        else:
            self.failed(exc if isinstance(exc, OSError) else ClosedError("the connection was closed"))

    def responded(self, response: Response) -> None:
        """Called with each response."""

    def failed(self, error: OSError) -> None:
        """Called when the connection ends, in whatever way."""


class PooledConnection(Connection):
    """A connection that waits for its responses."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Future[Response] | None = None

    async def exchange(self, request: bytes) -> Response:
        """Raises OSError."""
        if self.closed:
            raise ClosedError("the connection was closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def responded(self, response: Response) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(response)

    def failed(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


class Pool:
    """At most ``size`` connections to one server, opened when they are needed."""

    def __init__(
        self, host: str, port: int, *, size: int, timeout_seconds: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._timeout_seconds = timeout_seconds
        self._idle: deque[PooledConnection] = deque()
        self._free = asyncio.Semaphore(size)

    async def exchange(self, request: bytes) -> Response:
        """Sends the request and waits for the response. Repeats it on a new connection if the server had closed the
        idle one.

        Raises:
            OSError: no connection, no valid response, or none in time (TimeoutError).
        """
        async with self._free:
            while True:
                connection, is_new = await self._connection()
                try:
                    async with asyncio.timeout(self._timeout_seconds):
                        response = await connection.exchange(request)
                except (ClosedError, ConnectionResetError, BrokenPipeError):
                    connection.transport.abort()
                    if is_new:
                        raise
                    continue
                except BaseException:
                    connection.transport.abort()
                    raise
                if connection.keeps_alive:
                    self._idle.append(connection)
                else:
                    connection.transport.close()
                return response

    async def check(self) -> None:
        """Raises OSError if the server cannot be reached."""
        async with self._free:
            connection, _ = await self._connection()
            self._idle.append(connection)

    async def _connection(self) -> tuple[PooledConnection, bool]:
        """A connection, and whether it is a new one. The latest used is the least likely to have been closed."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection, False
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_seconds):
            _, connection = await loop.create_connection(PooledConnection, self._host, self._port, ssl=self._tls)
        return connection, True

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().transport.abort()
