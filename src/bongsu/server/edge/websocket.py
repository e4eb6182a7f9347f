"""uvicorn's WebSocket protocol with a short way for binary messages.

ASGI's ``websocket.send`` makes an object of every frame, and awaits three times; that is half of what a message costs.
An application that finds ``bongsu.write`` among the extensions of the scope can write at once instead.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "bongsu.write"
# https://www.rfc-editor.org/rfc/rfc6455#section-5.2
_BINARY = b"\x82"


class WritingProtocol(WebSocketsSansIOProtocol):
    """Offers ``write`` to the application."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = dict(self.scope["extensions"] or {})
            extensions[EXTENSION] = {"write": self.write}
            self.scope["extensions"] = extensions

    def write(self, message: bytes) -> bool:
        """Sends a binary message. False: nothing was sent, because so much waits for the client, or it is gone."""
        ready = self.handshake_complete and not self.close_sent and not self.disconnected
        if not (ready and self.writable.is_set()) or self.transport.is_closing():
            return False
        size = len(message)
        if size < 126:
            head = _BINARY + size.to_bytes(1, "big")
        elif size < 65_536:
            head = b"\x82\x7e" + size.to_bytes(2, "big")
        else:
            head = b"\x82\x7f" + size.to_bytes(8, "big")
        self.transport.write(head + message)
        return True
