"""A server that responds to POST /api/metrics like the API server and remembers what it stored."""

import gzip
import http.server
import threading
import time
from collections import Counter, deque
from typing import Any

from bongsu.core.samples import Push, PushError, PushResult
from bongsu.wire.protobuf import decode_push, encode_result


class ApiServer:
    """``stored``: (layout id, time) -> how often it was sent. ``answers``: (status, headers, body) for the next requests,
    instead of the usual response."""

    def __init__(self, port: int = 0) -> None:
        api = self
        self.lock = threading.Lock()
        self.stored: Counter[tuple[int, int]] = Counter()
        self.layouts: dict[int, Any] = {}
        self.pushes: list[Push] = []
        self.requests: list[dict[str, str]] = []
        self.answers: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.reject_times: set[int] = set()
        # time stamps after this are refused as being in the future
        self.newest_accepted_ms: int | None = None
        # like a proxy's limit: larger bodies get a 413 that is not Bongsu's
        self.max_body_bytes: int | None = None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # one packet an answer, or each waits 40 ms for an acknowledgement
            timeout = 30

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with api.lock:
                    api.requests.append({**self.headers, "path": self.path})
                    if api.max_body_bytes is not None and len(body) > api.max_body_bytes:
                        api.answers.append((413, {}, b"<html>413 Request Entity Too Large</html>"))
                    status, headers, answer = api.answers.popleft() if api.answers else api.answer(decode_push(body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def answer(self, push: Push) -> tuple[int, dict[str, str], bytes]:
        self.pushes.append(push)
        self.layouts |= {layout.id: layout for layout in push.layouts}
        unknown = sorted({frame.layout_id for frame in push.frames} - self.layouts.keys())
        if unknown:
            return 409, {}, encode_result(PushResult(unknown_layouts=unknown, error=PushError("unknown_layout", "?")))
        if self.reject_times & {frame.time_ms for frame in push.frames}:
            return (
                400,
                {},
                encode_result(PushResult(error=PushError("wrong_frame_length", "A frame has the wrong length."))),
            )
        newest_ms = self.newest_accepted_ms
        if newest_ms is not None and any(frame.time_ms > newest_ms for frame in push.frames):
            error = PushError("time_ahead", "A frame is in the future.", limit=300)
            return 400, {}, encode_result(PushResult(server_time_ms=newest_ms - 300_000, error=error))
        keys = [(frame.layout_id, frame.time_ms) for frame in push.frames]
        duplicates = sum(key in self.stored for key in keys)
        self.stored.update(keys)
        now_ms = time.time_ns() // 1_000_000
        return 200, {}, encode_result(PushResult(len(keys) - duplicates, duplicates, server_time_ms=now_ms))

    def times(self) -> list[int]:
        with self.lock:
            return sorted(time_ms for _, time_ms in self.stored)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
