"""GET /api/metrics/history below FastAPI, whose middleware, routing and validation take twice as long as the answer.

What a dashboard or script usually asks is answered here; whatever else a request says or lacks, it goes to FastAPI.
"""

from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from bongsu.core.errors import BongsuError
from bongsu.server.api.access import authorized
from bongsu.server.api.answers import compressed
from bongsu.server.api.history import answered
from bongsu.server.api.history_answers import Format
from bongsu.server.api.history_requests import HistoryRequest, requested, usual_request
from bongsu.server.auth.principal import Role
from bongsu.server.edge.hosts import host_name
from bongsu.server.errors import response_of
from bongsu.server.services import Services

PATH = "/api/metrics/history"


class DirectHistory:
    """An ASGI application before another one."""

    def __init__(self, app: ASGIApp, services: Callable[[], Services | None], hosts: Iterable[str] | None) -> None:
        """``services``: None until the application has started; ``hosts``: which names it answers to; None: all."""
        self._app = app
        self._services = services
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        usual = services = None
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            services = self._services()
            usual = self._usual(scope)
        if usual is None or services is None:
            await self._app(scope, receive, send)
            return
        request, token, known, takes_gzip = usual
        client = scope.get("client")
        try:
            user = await authorized(services, token, client[0] if client else "", Role.viewer)
            now_ms = services.clock.now_ms()
            query = await requested(request, now_ms)
            response = await answered(services, user, query, Format.JSON, known, now_ms)
        except BongsuError as error:
            response = response_of(error)
        except Exception:  # FastAPI meets the same, tells it, and answers as to every bug
            await self._app(scope, receive, send)
            return
        if takes_gzip:
            await compressed(response)(scope, receive, send)
        else:
            response.headers.add_vary_header("Accept-Encoding")
            await response(scope, receive, send)

    def _usual(self, scope: Scope) -> tuple[HistoryRequest, str, str, bool] | None:
        """The request, the token, the tag of the answer that the client has, and whether it takes gzip."""
        token = known = ""
        takes_gzip = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, rest = value.partition(b" ")
                if scheme != b"Bearer":
                    return None
                token = rest.decode("latin-1")
            elif name == b"if-none-match":
                known = value.decode("latin-1")
            elif name == b"accept-encoding":
                takes_gzip = b"gzip" in value
            elif name == b"origin":
                return None
        if not token or (self._hosts is not None and host_name(scope) not in self._hosts):
            return None
        request = usual_request(scope["query_string"])
        return None if request is None else (request, token, known, takes_gzip)
