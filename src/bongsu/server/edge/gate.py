"""The entrance for everything except pushes: addresses, ids of requests, headers, rates and the size of bodies. Before
setup, only the setup page passes."""

import re
from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from bongsu.core.addresses import rate_key
from bongsu.core.errors import BongsuError, Forbidden
from bongsu.server.auth.directory import Directory
from bongsu.server.edge.addresses import Forwarded
from bongsu.server.edge.bodies import read_body
from bongsu.server.edge.headers import with_headers
from bongsu.server.edge.rates import RateLimiter
from bongsu.server.errors import response_of
from bongsu.server.logs import new_request_id, request_id

# What is answered before there is a user.
_BEFORE_SETUP = (
    "/api/setup", "/api/health", "/api/health/live", "/api/health/ready", "/api/agents/enrol", "/api/agents/rotate",
)  # fmt: skip
_NOT_THE_DASHBOARD = re.compile(r"/(api|docs|redoc|_docs|agent)(/|$)")


_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Gate:
    """Checks nothing until ``open``, which the application calls when it has started."""

    def __init__(self, app: ASGIApp, forwarded: Forwarded, refused: Counter[str]) -> None:
        self._app = app
        self._forwarded = forwarded
        self._refused = refused
        self._directory: Directory | None = None
        self._rates: RateLimiter | None = None

    def open(self, directory: Directory, rates: RateLimiter) -> None:
        """From now on requests are checked against the accounts and the rate limits."""
        self._directory, self._rates = directory, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        trusted = self._forwarded.apply(scope)
        known = (trusted and _sent_id(scope)) or new_request_id()
        request_id.set(known)
        send = with_headers(scope, send, known)
        try:
            await self._check(scope)
            if scope["type"] == "http":
                receive = await read_body(scope, receive)
        except BongsuError as error:
            self._refused[error.code] += 1
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 4403, "reason": error.message[:120]})
                return
            await response_of(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        path, directory, rates = scope["path"], self._directory, self._rates
        if directory is None or rates is None:
            return
        if not directory.set_up and _NOT_THE_DASHBOARD.match(path) and path not in _BEFORE_SETUP:
            # Another process or `bongsu user create` may have made the first user.
            await directory.look_again()
            if not directory.set_up:
                raise Forbidden(
                    "Bongsu is not set up yet: open the link that it printed when it started.", code="setup_required"
                )
        if path.startswith("/api/"):
            client = scope.get("client")
            await rates.address(rate_key(client[0] if client else ""))


def _sent_id(scope: Scope) -> str:
    """The id that a proxy has given to the request; empty without one."""
    sent: bytes = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else ""
