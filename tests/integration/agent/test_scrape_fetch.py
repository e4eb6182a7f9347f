"""How targets are fetched: from correct ones, from broken and evil ones, with credentials and over TLS."""

import base64
import gzip
import socket
import ssl
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bongsu.agent.scrape.fetch import Fetcher, FetchError
from bongsu.agent.scrape.page import OverLimitError, Page, PageRules
from bongsu.agent.scrape.table import Table
from bongsu.agent.scrape.text_format import Families, ParseError
from bongsu.agent.scrape_config import TargetConfig, finish_targets
from bongsu.core.errors import BongsuError
from tests.support.agent_fakes import RawServer, read_request
from tests.support.programs import need

PAGE = b"m 1\nn 2\n"
Requests = list[tuple[str, dict[str, str], bytes]]


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(handle: Callable[[socket.socket], None]) -> RawServer:
        servers.append(RawServer(handle))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answering(answer: bytes, seen: Requests | None = None) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        while (request := read_request(connection)) is not None:
            if seen is not None:
                seen.append(request)
            connection.sendall(answer)
            if b"Content-Length" not in answer and b"chunked" not in answer:
                return

    return handle


def ok(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


def target(server: RawServer, scheme: str = "http", **options: object) -> Fetcher:
    config = TargetConfig(job="j", url=f"{scheme}://127.0.0.1:{server.port}/metrics?a=b")
    for name, value in options.items():
        setattr(config, name, value)
    finish_targets([config], 2_000)
    return Fetcher(config)


def read(fetcher: Fetcher) -> Page:
    page = Page(Table(10_000), Families(), PageRules({}, sample_limit=10_000))
    fetcher.read_into(page)
    return page


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ok(PAGE), id="with a length"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + PAGE, id="until the connection closes"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nm 1\nn\r\n3\r\n 2\n\r\n0\r\n\r\n", id="chunks"
        ),
        pytest.param(ok(gzip.compress(PAGE, mtime=0), "Content-Encoding: gzip"), id="gzip"),
        pytest.param(
            ok(PAGE + b"# EOF\n", "Content-Type: application/openmetrics-text; version=1.0.0"), id="openmetrics"
        ),
    ],
)
def test_answers(serve, answer: bytes) -> None:
    seen: Requests = []
    fetcher = target(serve(answering(answer, seen)))
    for _ in range(2):
        assert read(fetcher).kept == 2
    fetcher.close()
    line, headers, body = seen[0]
    assert (line, body) == ("GET /metrics?a=b HTTP/1.1", b"")
    assert headers["accept"].startswith("text/plain;version=0.0.4")
    assert headers["accept-encoding"] == "gzip"
    assert headers["x-prometheus-scrape-timeout-seconds"] == "2"
    assert "authorization" not in headers
    assert "content-length" not in headers


def test_the_connection_is_kept(serve) -> None:
    server = serve(answering(ok(PAGE)))
    fetcher = target(server)
    for _ in range(3):
        read(fetcher)
    fetcher.close()
    assert server.connections == 1


def packed(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    piece = b"#" * 99 + b"\n"
    return b"".join(packer.compress(piece * 10_000) for _ in range(size // 1_000_000)) + packer.flush()


@pytest.mark.parametrize(
    ("answer", "error_class", "message"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            FetchError,
            "The target answers with HTTP status 404.",
        ),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", FetchError, "Are its credentials right?"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/x?token=1\r\nContent-Length: 0\r\n\r\n",
            FetchError,
            "The target redirects to 'http://evil.example/x'. Configure the URL that it redirects to.",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", FetchError, "This is not an HTTP server."),
        (b"", FetchError, "The connection was closed."),
        (ok(b"<!DOCTYPE html>\n<html>"), ParseError, "'<!DOCTYPE html>' is not a sample"),
        (ok(b"\x00\x01\xff"), ParseError, "The page is not UTF-8."),
        (ok(b"\x0a\x04abcd", "Content-Type: application/vnd.google.protobuf"), FetchError, "protobuf"),
        (ok(PAGE, "Content-Encoding: br"), FetchError, "in the encoding 'br', which was not asked for"),
        (ok(PAGE, "Content-Encoding: gzip"), ParseError, "The page is not valid gzip."),
        (ok(gzip.compress(PAGE, mtime=0)[:-9], "Content-Encoding: gzip"), ParseError, "The page was cut short."),
        (ok(PAGE, "Content-Type: application/openmetrics-text"), ParseError, "The page ends without # EOF"),
        (ok(b"#" * 1_100_000), OverLimitError, "The page is longer than 1.00 MiB, its body_size_limit."),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"#\n" * 600_000, OverLimitError, "longer than 1.00 MiB"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n" + b"#\n" * 900,
            OverLimitError,
            "longer than 1.00 MiB",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", FetchError, "invalid chunk"),
        (ok(packed(50_000_000), "Content-Encoding: gzip"), OverLimitError, "longer than 1.00 MiB"),
    ],
)
def test_bad_answers(serve, answer: bytes, error_class: type[BongsuError], message: str) -> None:
    fetcher = target(serve(answering(answer)), body_size_limit=1024**2)
    with pytest.raises(error_class) as error:
        read(fetcher)
    assert message in error.value.message
    fetcher.close()


@pytest.mark.parametrize("gap", [0.1, 600])
def test_the_timeout_is_that_of_the_whole_answer(serve, gap: float) -> None:
    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(b"#")
            time.sleep(gap)

    fetcher = target(serve(drip), timeout_ms=500)
    began = time.monotonic()
    with pytest.raises(FetchError, match="No response in time"):
        read(fetcher)
    assert 0.4 < time.monotonic() - began < 5
    fetcher.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = TargetConfig(job="j", url=f"http://127.0.0.1:{port}/metrics")
    finish_targets([config], 1_000)
    with pytest.raises(FetchError, match=r"^Connection refused\.$"):
        read(Fetcher(config))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"username": "me", "password": "pa:ss"}, "Basic " + base64.b64encode(b"me:pa:ss").decode()),
        ({"username": "me", "password_file": "secret"}, "Basic " + base64.b64encode("me:봉수".encode()).decode()),
        ({"username": "me"}, "Basic " + base64.b64encode(b"me:").decode()),
        ({"username": "me", "password_env": "SECRET"}, "Basic " + base64.b64encode(b"me:from-env").decode()),
        ({"token": "abc"}, "Bearer abc"),
        ({"token_env": "SECRET"}, "Bearer from-env"),
    ],
)
def test_credentials(
    serve, options: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "from-env")
    (tmp_path / "secret").write_text("봉수\n")
    seen: Requests = []
    fetcher = target(serve(answering(ok(PAGE), seen)), **options)
    read(fetcher)
    fetcher.close()
    assert seen[0][1]["authorization"] == expected


def test_a_secret_file_is_read_again(serve, tmp_path: Path) -> None:
    seen: Requests = []
    file = tmp_path / "token"
    fetcher = target(serve(answering(ok(PAGE), seen)), token_file=str(file))
    for content, message in ((None, "No such file"), ("", "is empty"), ("a\nb", "cannot be sent")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(FetchError, match=message):
            read(fetcher)
    for token in ("old", "new"):
        file.write_text(token + "\n")
        read(fetcher)
    fetcher.close()
    assert [headers["authorization"] for _, headers, _ in seen] == ["Bearer old", "Bearer new"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, which signs for the server and is the client's own as well."""
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


def tls_server(serve, authority: Path, *, asks: bool) -> RawServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "certificate.pem", authority / "key.pem")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority / "certificate.pem")

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            answering(ok(PAGE))(secure)

    return serve(handle)


def test_tls(serve, authority: Path) -> None:
    certificate, key = str(authority / "certificate.pem"), str(authority / "key.pem")
    server = tls_server(serve, authority, asks=False)
    with pytest.raises(FetchError, match="Its certificate is not trusted"):
        read(target(server, "https"))
    with pytest.raises(FetchError, match=r"A certificate or key cannot be read: No such file"):
        read(target(server, "https", ca_file="/absent.pem"))
    for options in ({"ca_file": certificate}, {"verify": False}):
        fetcher = target(server, "https", **options)
        assert read(fetcher).kept == 2
        assert read(fetcher).kept == 2
        fetcher.close()
    with pytest.raises(FetchError, match="certificate is not trusted"):
        read(target(server, "https", ca_file=certificate, server_name="other"))
    asking = tls_server(serve, authority, asks=True)
    with pytest.raises(FetchError):
        read(target(asking, "https", ca_file=certificate))
    fetcher = target(asking, "https", ca_file=certificate, cert_file=certificate, key_file=key)
    assert read(fetcher).kept == 2
    fetcher.close()
