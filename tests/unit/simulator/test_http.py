"""Reading responses from the bytes of a connection."""

import asyncio

import pytest

from bongsu.simulator.http import MAX_HEADER_BYTES, Connection, HttpError, post
from bongsu.wire.outcome import Response


class FakeTransport(asyncio.Transport):
    """Remembers what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def abort(self) -> None:
        self.aborted = True


class Recorder(Connection):
    """Remembers what happens."""

    def __init__(self) -> None:
        super().__init__()
        self.responses: list[Response] = []
        self.errors: list[OSError] = []

    def responded(self, response: Response) -> None:
        self.responses.append(response)

    def failed(self, error: OSError) -> None:
        self.errors.append(error)


def connected() -> tuple[Recorder, FakeTransport]:
    connection, transport = Recorder(), FakeTransport()
    connection.connection_made(transport)
    return connection, transport


def test_a_request() -> None:
    connection, transport = connected()
    connection.write(post("host:1", "/api/metrics", "secret", "application/x-protobuf", b"body"))
    assert transport.written == (
        b"POST /api/metrics HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/x-protobuf\r\n"
        b"Authorization: Bearer secret\r\nContent-Length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_a_response_in_pieces(size: int) -> None:
    connection, _ = connected()
    data = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nhello"
    for start in range(0, len(data), size):
        assert connection.responses == []
        connection.data_received(data[start : start + size])
    assert connection.responses == [Response(429, {"retry-after": "3", "content-length": "5"}, b"hello")]
    assert connection.keeps_alive


def test_the_server_says_that_it_closes_the_connection() -> None:
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    assert connection.responses[0].status == 204
    assert not connection.keeps_alive


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "not an HTTP server"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "unknown or excessive length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "unknown or excessive length"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEADER_BYTES, "headers are too long"),
    ],
)
def test_what_is_no_response_ends_the_connection(data: bytes, reason: str) -> None:
    connection, transport = connected()
    connection.data_received(data)
    assert reason in str(connection.errors[0])
    assert transport.aborted


def test_a_connection_that_ends_within_a_response() -> None:
    connection, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
    connection.connection_lost(None)
    assert connection.closed
    assert type(connection.errors[0]) is HttpError
