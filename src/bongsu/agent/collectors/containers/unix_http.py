"""HTTP/1.1 over a unix socket, as far as the daemons of containers need it: GET, chunks, and streams of lines.

Everything has an end: a daemon that hangs costs ``timeout_seconds``, and one that talks nonsense a bounded amount of
memory.
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

TIMEOUT_SECONDS = 5.0
# A daemon with 1,000 containers answers with 2 MB.
MAX_BODY_BYTES = 16 * 1024**2
MAX_HEAD_BYTES = 64 * 1024
MAX_LINE_BYTES = 1024**2
_PIECE_BYTES = 65_536


class BadAnswer(Exception):
    """The daemon answers, but not with what was asked for. ``status``: 0 if it does not speak HTTP."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class _Body:
    """Takes a response apart as its bytes come in."""

    def __init__(self) -> None:
        self._raw = b""
        self._in_body = False
        self._chunked = False
        # Bytes of the body, or of the current chunk, that are still to come; None: until the connection ends.
        self._left: int | None = 0
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that ``data`` completes. Raises BadAnswer."""
        self._raw += data
        if not self._in_body and not self._parse_head():
            return b""
        return self._dechunked() if self._chunked else self._taken()

    def _parse_head(self) -> bool:
        head, end, rest = self._raw.partition(b"\r\n\r\n")
        if not end:
            if len(self._raw) > MAX_HEAD_BYTES or not b"HTTP/1.".startswith(self._raw[:7]):
                raise BadAnswer("does not speak HTTP")
            return False
        lines = head.decode("latin-1").split("\r\n")
        version, _, status = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdigit():
            raise BadAnswer("does not speak HTTP")
        if status[:3] != "200":
            raise BadAnswer(f"answers {status.strip()[:100]}", int(status[:3]))
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self._in_body, self._raw = True, rest
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        self._left = 0 if self._chunked else int(length) if length.isdigit() else None
        return True

    def _taken(self) -> bytes:
        taken, self._raw = self._raw[: self._left], b""
        if self._left is not None:
            self._left -= len(taken)
            self.ended = self._left == 0
        return taken

    def _dechunked(self) -> bytes:
        pieces = []
        while self._raw and not self.ended:
            if not self._left:
                line, end, rest = self._raw.lstrip(b"\r\n").partition(b"\r\n")
                if not end:
                    if len(line) > 100:
                        raise BadAnswer("sends a chunk without a size")
                    break
                try:
                    self._left = int(line.partition(b";")[0], 16)
                except ValueError:
                    raise BadAnswer("sends a chunk without a size") from None
                self._raw = rest
                self.ended = self._left == 0
                continue
            pieces.append(self._raw[: self._left])
            self._raw = self._raw[len(pieces[-1]) :]
            self._left -= len(pieces[-1])
        return b"".join(pieces)


def _request(path: str, target: str, timeout_seconds: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_seconds)
        connection.connect(path)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    except BaseException:
        connection.close()
        raise
    return connection


def get_json(path: str, target: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Any:
    """The parsed answer. Raises OSError (also if it takes longer than ``timeout_seconds``) or BadAnswer."""
    ends_at = time.monotonic() + timeout_seconds
    body, pieces, size = _Body(), [], 0
    with _request(path, target, timeout_seconds) as connection:
        while not body.ended:
            left = ends_at - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            connection.settimeout(left)
            data = connection.recv(_PIECE_BYTES)
            if not data:
                break
            pieces.append(body.feed(data))
            size += len(pieces[-1])
            if size > MAX_BODY_BYTES:
                raise BadAnswer("answers with more than 16 MiB")
    try:
        return json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        raise BadAnswer("does not answer with JSON") from None


class LineStream:
    """An answer without an end, of one JSON object a line."""

    def __init__(self, path: str, target: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._connection = _request(path, target, timeout_seconds)
        self._body = _Body()
        self._rest = b""

    def lines(self, wait_seconds: float) -> Iterator[Any]:
        """The objects that have come, after waiting for the first. Raises OSError or BadAnswer, also at its end."""
        try:
            self._connection.settimeout(max(0.01, wait_seconds))
            data = self._connection.recv(_PIECE_BYTES)
        except TimeoutError:
            return
        if not data:
            raise ConnectionResetError("closed the connection")
        self._rest += self._body.feed(data)
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise BadAnswer("sends an event of more than 1 MiB")
        for line in lines:
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    raise BadAnswer("sends events that are not JSON") from None
        if self._body.ended:
            raise ConnectionResetError("ended the events")

    def close(self) -> None:
        self._connection.close()

    def shut_down(self) -> None:
        """Wakes the thread that waits for lines."""
        with contextlib.suppress(OSError):  # it is closed already
            self._connection.shutdown(socket.SHUT_RDWR)
