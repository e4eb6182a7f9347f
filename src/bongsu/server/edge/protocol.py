"""uvicorn's HTTP protocol with limits on time, size and connections.

uvicorn waits for the rest of a request for ever, so a few thousand connections that send one byte a minute (slow loris)
would take every file descriptor. Here a request must be complete within some seconds, its head is limited to 64 KiB,
and the number of connections is limited, in all and for each address. A request that arrives in one piece, as an
agent's does, sets no timer.
"""

import asyncio
import json
from collections import Counter
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr

from bongsu.server.edge.connections import Connections
from bongsu.server.errors import error_body

MAX_HEAD_BYTES = 65_536


class PatientProtocol(HttpToolsProtocol):
    """The limits are class attributes; ``protocol_with`` sets them."""

    request_seconds = 30.0
    limit: ClassVar[Connections]
    refused: ClassVar[Counter[str]] = Counter()

    _head = 0
    _upgraded = False
    _address = ""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = get_remote_addr(transport)
        self._address = peer[0] if peer else ""
        problem = self.limit.opened(self._address)
        if problem:
            self.connections.add(self)
            self.transport = transport
            self._refuse(503, "too_many_connections", problem, self.limit.most)
            return
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self.limit.closed(self._address)
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before: RequestResponseCycle | None = self.cycle
        more = before is not None and before.more_body
        super().data_received(data)
        # Judged by the state of the parser: a callback for each request would cost 1 us.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.more_body and (more or cycle is not before):
            if self._timer is not None:
                self._stop_waiting()
            self._head = 0
        elif not self._upgraded and not self.transport.is_closing():
            self._partly(data, in_head=cycle is before and not more)

    def _partly(self, data: bytes, *, in_head: bool) -> None:
        if self._timer is None:
            self._wait()
        self._head = self._head + len(data) if in_head else 0
        if self._head > MAX_HEAD_BYTES:
            self._refuse(431, "head_too_large", f"The head is larger than {MAX_HEAD_BYTES} bytes.", MAX_HEAD_BYTES)

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._stop_waiting()
        super().handle_websocket_upgrade()
        # The protocol of the WebSocket has taken over, and is told when the connection ends.
        protocol: Any = self.transport.get_protocol()
        lost = protocol.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            self.limit.closed(self._address)
            lost(exc)

        protocol.connection_lost = connection_lost

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


def protocol_with(request_seconds: float, limit: Connections, refused: Counter[str]) -> type[PatientProtocol]:
    """A protocol class with these limits; uvicorn makes one instance for each connection."""
    limits: dict[str, Any] = {
        "request_seconds": request_seconds,
        "limit": limit,
        "refused": refused,
    }
    return type("Protocol", (PatientProtocol,), limits)
