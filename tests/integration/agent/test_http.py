"""The HTTP client against correct servers and broken ones."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from bongsu.agent.http import Connection, HttpError, Url, tls_context
from bongsu.wire.outcome import explain
from tests.support.agent_fakes import RawServer, read_request
from tests.support.programs import need

# closed at the end of each test
CONNECTIONS: list[Connection] = []


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(handle: Callable[[socket.socket], None]) -> RawServer:
        servers.append(RawServer(handle))
        return servers[-1]

    yield start
    for connection in CONNECTIONS:
        connection.close()
    CONNECTIONS.clear()
    for server in servers:
        server.close()


def answering(*answers: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        for answer in answers:
            if read_request(connection) is None:
                return
            connection.sendall(answer)

    return handle


def a_connection(url: Url, **options) -> Connection:
    CONNECTIONS.append(Connection(url, **{"timeout_seconds": 5, **options}))
    return CONNECTIONS[-1]


def connect(server: RawServer, **options) -> Connection:
    return a_connection(Url(False, "127.0.0.1", server.port, "/"), **options)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK, id="with a length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nh\r\n1\r\ni\r\n0\r\nT: 1\r\n\r\n",
            id="chunks",
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, id="after an interim response"),
        pytest.param(b"HTTP/1.1 200\r\ncontent-LENGTH:2\r\n\r\nhi", id="no reason and odd spelling"),
    ],
)
def test_connections_are_kept_alive(serve, answer: bytes) -> None:
    server = serve(answering(answer, answer))
    connection = connect(server)
    for _ in range(2):
        response = connection.post("/x", {}, b"body")
        assert (response.status, response.body) == (200, b"hi")
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nhi", id="no length, so the body ends with the connection"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", id="the server asks to close"
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", id="HTTP/1.0"),
    ],
)
def test_connections_that_cannot_be_kept_alive_are_closed(serve, answer: bytes) -> None:
    server = serve(answering(answer))
    connection = connect(server)
    for _ in range(2):
        assert connection.post("/x", {}, b"").body == b"hi"
    assert server.connections == 2


def test_the_request_is_valid_http(serve) -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    server = serve(handle)
    connect(server).post("/api/metrics", {"Content-Type": "a/b"}, b"\x00\xff")
    first, headers, body = seen[0]
    assert first == "POST /api/metrics HTTP/1.1"
    assert headers == {"host": f"127.0.0.1:{server.port}", "content-length": "2", "content-type": "a/b"}
    assert body == b"\x00\xff"


def test_an_idle_connection_that_the_server_closed_is_reopened(serve) -> None:
    server = serve(answering(OK))  # each connection answers once and is closed
    connection = connect(server)
    assert connection.post("/", {}, b"").status == 200
    assert connection.post("/", {}, b"").status == 200
    assert server.connections == 2


def test_a_new_connection_that_the_server_closes_is_an_error(serve) -> None:
    server = serve(lambda connection: None)
    with pytest.raises(OSError, match=r"closed|reset"):
        connect(server).post("/", {}, b"")
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", id="cut short"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", id="too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="broken chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="chunk cut short"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000, id="endless header"),
    ],
)
def test_an_invalid_response_is_an_error_and_closes_the_connection(serve, answer: bytes) -> None:
    connection = connect(serve(answering(answer)))
    with pytest.raises(HttpError):
        connection.post("/", {}, b"")
    assert connection._socket is None


def test_a_server_that_does_not_respond_times_out(serve) -> None:
    released = threading.Event()
    server = serve(lambda connection: released.wait())
    connection = a_connection(Url(False, "127.0.0.1", server.port, "/"), timeout_seconds=0.1)
    with pytest.raises(TimeoutError):
        connection.post("/", {}, b"")
    released.set()


def test_another_thread_can_abort_a_request(serve) -> None:
    asked, released = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        asked.set()
        released.wait()

    connection = a_connection(Url(False, "127.0.0.1", serve(handle).port, "/"), timeout_seconds=60)
    aborter = threading.Thread(target=lambda: (asked.wait(), connection.abort()))
    aborter.start()
    with pytest.raises(OSError, match=r"closed|reset|cut"):
        connection.post("/", {}, b"")
    aborter.join(5)
    released.set()


def test_a_proxy_gets_the_absolute_url(serve) -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    proxy = Url(False, "127.0.0.1", serve(handle).port, "/")
    connection = a_connection(Url(False, "server.invalid", 80, "/"), timeout_seconds=2, proxy=proxy)
    assert connection.post("/api/metrics", {}, b"").status == 200
    assert seen[0][0] == "POST http://server.invalid/api/metrics HTTP/1.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory):
    """A self-signed certificate for 127.0.0.1."""
    need("openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def tls_server(serve, authority, before: Callable[[socket.socket], None] = lambda connection: None) -> RawServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "certificate.pem", authority / "key.pem")

    def handle(connection: socket.socket) -> None:
        before(connection)
        with context.wrap_socket(connection, server_side=True) as secure:
            answering(OK)(secure)

    return serve(handle)


def test_a_configured_private_ca_is_trusted(serve, authority) -> None:
    server = tls_server(serve, authority)
    tls = tls_context(str(authority / "certificate.pem"))
    connection = a_connection(Url(True, "127.0.0.1", server.port, "/"), timeout_seconds=5, tls=tls)
    assert connection.post("/", {}, b"").body == b"hi"


def test_a_self_signed_certificate_is_rejected(serve, authority) -> None:
    server = tls_server(serve, authority)
    connection = a_connection(Url(True, "127.0.0.1", server.port, "/"), timeout_seconds=5, tls=tls_context(""))
    with pytest.raises(ssl.SSLCertVerificationError) as error:
        connection.post("/", {}, b"")
    assert explain(error.value) == "its certificate is not trusted (self-signed certificate)"


def test_a_certificate_for_another_name_is_rejected(serve, authority) -> None:
    server = tls_server(serve, authority)
    tls = tls_context(str(authority / "certificate.pem"))
    connection = a_connection(Url(True, "localhost", server.port, "/"), timeout_seconds=5, tls=tls)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname mismatch|IP address mismatch"):
        connection.post("/", {}, b"")


def test_https_uses_a_tunnel_through_the_proxy(serve, authority) -> None:
    tunnels = []

    def tunnel(connection: socket.socket) -> None:
        tunnels.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

    server = tls_server(serve, authority, tunnel)
    tls = tls_context(str(authority / "certificate.pem"))
    proxy = Url(False, "127.0.0.1", server.port, "/")
    connection = a_connection(Url(True, "127.0.0.1", 8443, "/"), timeout_seconds=5, tls=tls, proxy=proxy)
    assert connection.post("/", {}, b"").body == b"hi"
    assert tunnels[0][0] == "CONNECT 127.0.0.1:8443 HTTP/1.1"


def test_a_proxy_that_refuses_is_an_error(serve) -> None:
    proxy = Url(False, "127.0.0.1", serve(answering(b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n")).port, "/")
    connection = a_connection(
        Url(True, "server.invalid", 443, "/"), timeout_seconds=2, tls=tls_context(""), proxy=proxy
    )
    with pytest.raises(HttpError, match="the proxy responds with 407"):
        connection.post("/", {}, b"")
