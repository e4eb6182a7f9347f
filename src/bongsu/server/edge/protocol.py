"""HTTP connections that do not dawdle: uvicorn's protocol, with an end to waiting.

uvicorn waits for ever for the rest of a request, so that a few thousand connections that send a byte a minute
(slow-loris) would take every file descriptor. Here a request has to be whole within some seconds, its head within 64
KiB, and there are only so many connections. A request that comes in one piece, as an agent's does, sets no timer.
"""

import asyncio
import json
from collections import Counter
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bongsu.server.errors import error_body

LONGEST_HEAD = 65_536


class PatientProtocol(HttpToolsProtocol):
    """``protocol_with`` makes a class with the limits of the settings."""

    request_seconds = 30.0
    most_connections = 10_000
    refused: ClassVar[Counter[str]] = Counter()

    _open = False
    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.most_connections:
            self.connections.add(self)
            self.transport = transport
            self._refuse(503, "too_many_connections", "There are too many connections.", self.most_connections)
            return
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._open:
            if self._timer is not None:
                self._stop_waiting()
        elif self._timer is None:
            self._wait()
        if self._head:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self._refuse(431, "head_too_large", f"The head is larger than {LONGEST_HEAD} bytes.", LONGEST_HEAD)

    def on_message_begin(self) -> None:
        self._open = True
        self._head = 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._open = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._open = False
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "malformed_request", msg)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.request_seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        seconds = self.request_seconds
        self._refuse(408, "too_slow", f"The request took longer than {seconds:g} s to arrive.", seconds)

    def _refuse(self, status: int, code: str, message: str, limit: float | None = None) -> None:
        self.refused[code] += 1
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            body = json.dumps(error_body(code, message, limit=limit)).encode()
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


def protocol_with(request_seconds: float, most_connections: int, refused: Counter[str]) -> type[PatientProtocol]:
    """The class that uvicorn makes one of for each connection."""
    limits: dict[str, Any] = {
        "request_seconds": request_seconds,
        "most_connections": most_connections,
        "refused": refused,
    }
    return type("Protocol", (PatientProtocol,), limits)
