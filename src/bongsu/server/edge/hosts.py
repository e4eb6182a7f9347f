"""The host names that the API server answers to.

A web page can point its own name at 127.0.0.1 (DNS rebinding) and read what the Bongsu of a visitor answers; the Host
header still contains that name.
"""

from collections.abc import Iterable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bongsu.server.errors import error_body

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class AllowedHosts:
    """Refuses requests for other host names."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or host_name(scope) in self._hosts:
            await self._app(scope, receive, send)
            return
        message = (
            f"This server does not answer to that host name. Allowed (BONGSU_ALLOWED_HOSTS): {sorted(self._hosts)}."
        )
        await JSONResponse(error_body("host_not_allowed", message, "Host"), 403)(scope, receive, send)


def host_name(scope: Scope) -> str:
    """The Host header without its port, in lower case."""
    host: str = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
