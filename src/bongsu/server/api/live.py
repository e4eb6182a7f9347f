"""The WebSocket /api/ws: from ASGI to the live streams. ``proto/live.proto`` has its messages."""

from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from bongsu.server.api.browser import is_own_page
from bongsu.server.edge.websocket import EXTENSION
from bongsu.server.live.conversation import Conversation, Disconnected
from bongsu.server.services import Services

PATH = "/api/ws"
FORBIDDEN = 4403


class LiveEndpoint:
    """An ASGI application below FastAPI, which would wrap every message twice."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services: Services = scope["app"].state.services
        extension = scope.get("extensions", {}).get(EXTENSION)
        socket = _Socket(receive, send, extension["write"] if extension else None)
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        if not _from_this_site(scope, services.settings.cors_origins):
            await socket.close(FORBIDDEN, "This connection comes from a page of another site.")
            return
        client = scope.get("client")
        await Conversation(
            socket,
            services.live,
            services.clock,
            services.auth.authenticator,
            client[0] if client else "",
            count=services.rate_limiter.user,
            connections_per_user=services.settings.limits.live_connections_per_user,
        ).run()


class _Socket:
    """``live.conversation.Socket`` over ASGI."""

    def __init__(self, receive: Receive, send: Send, write: Callable[[bytes], bool] | None) -> None:
        self._receive = receive
        self._send = send
        self._write = write

    async def receive(self) -> bytes | str:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            raise Disconnected
        data: bytes | str | None = message.get("bytes")
        return message["text"] if data is None else data

    def send_at_once(self, message: bytes) -> bool:
        return self._write is not None and self._write(message)

    async def send(self, message: bytes) -> None:
        try:
            await self._send({"type": "websocket.send", "bytes": message})
        except OSError:  # as the ASGI specification has it for a connection that is lost
            raise Disconnected from None

    async def close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


def _from_this_site(scope: Scope, cors_origins: list[str]) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"origin", b"host")}
    return is_own_page(headers.get(b"origin"), headers.get(b"host", ""), cors_origins)
