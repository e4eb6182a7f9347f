"""HTTP endpoints on loopback in place of the services that receive notifications."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], str]


@dataclass
class Received:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Endpoint:
    """The requests that arrived, and the answers: the next of ``answers``, then ``usual``. ``before``: called before each
    answer."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    usual: Answer = (200, {"Content-Type": "text/plain"}, "ok")
    before: Callable[[], None] | None = None


@contextlib.contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Listens until the context exits."""
    service = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.received.append(Received(self.command, self.path, headers, self.rfile.read(length)))
            if service.before is not None:
                service.before()
            status, extra, text = service.answers.pop(0) if service.answers else service.usual
            body = text.encode()
            self.send_response(status)
            for name, value in (extra | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Writes nothing to standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
