"""A keep-alive HTTP/1.1 client that can only POST a body, or GET, and read the response.

http.client would cost 1.0 MB more (email.parser and its imports) and 0.2 ms of CPU a request, a tenth of what the agent
spends on a tick. Supports Content-Length, chunked and until-close bodies, interim 1xx responses, and a proxy (absolute
URL for http, CONNECT for https). Does not support redirects and trailers, and leaves compressed bodies as they are.
"""

import os
import socket
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from bongsu.wire.outcome import Response

if TYPE_CHECKING:
    import ssl

MAX_HEADER_BYTES = 65_536
# A PushResponse takes under 100 bytes, an error page of a proxy more.
MAX_RESPONSE_BYTES = 1_048_576


class HttpError(OSError):
    """The response is not valid HTTP/1.1."""


class ResponseTooLongError(HttpError):
    """The body is longer than the caller takes."""


class Url(NamedTuple):
    """``path`` starts with "/". ``host`` has no brackets."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Raises ValueError."""
        scheme, _, rest = text.partition("://")
        secure = scheme.lower() == "https"
        authority, slash, path = rest.partition("/")
        authority = authority.rpartition("@")[2]
        default_port = 443 if secure else 80
        if authority.startswith("["):
            host, _, port = authority[1:].partition("]")
            port = port.removeprefix(":")
        else:
            host, _, port = authority.partition(":")
        if not host or (port and not 0 < int(port) < 65_536):
            raise ValueError(f"{text!r} is not a URL")
        return cls(secure, host, int(port) if port else default_port, slash + path or "/")

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Connection:
    """A connection to one server. Only one thread may use it, but any thread may call ``abort``. Every failure raises
    OSError."""

    def __init__(
        self,
        url: Url,
        *,
        timeout_seconds: float,
        tls: "ssl.SSLContext | None" = None,
        proxy: Url | None = None,
        server_name: str = "",
        max_body_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """``server_name``: the name that the certificate must have; empty means the host of ``url``.
        ``max_body_bytes``: a longer body is an error."""
        self._url = url
        self._server_name = server_name or url.host
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._proxy = proxy
        self._max_body_bytes = max_body_bytes
        self._socket: socket.socket | None = None
        self._unread = b""
        # When the exchange must have ended, by the monotonic clock; None: only each wait is limited.
        self._deadline: float | None = None

    def post(self, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Sends the request. Repeats it on a new connection if the server had closed the idle one."""
        return self._request(f"Content-Length: {len(body)}", "POST", path, headers, body)

    def get(self, path: str, headers: dict[str, str]) -> Response:
        """As ``post``, but the timeout is that of the whole exchange, with its connection."""
        self._deadline = time.monotonic() + self._timeout_seconds
        try:
            return self._request("", "GET", path, headers, b"")
        finally:
            self._deadline = None

    def _request(self, length: str, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        url = self._url
        target = f"http://{url.authority}{path}" if self._proxy and not url.secure else path
        lines = [f"{method} {target} HTTP/1.1", f"Host: {url.authority}", *([length] if length else [])]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
        reused = self._socket is not None
        try:
            return self._exchange(request)
        except (BrokenPipeError, ConnectionResetError, ConnectionAbortedError, _ClosedBeforeResponseError):
            self.close()
            if not reused:
                raise
        except BaseException:
            self.close()
            raise
        try:
            return self._exchange(request)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        connection, self._socket, self._unread = self._socket, None, b""
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Makes a ``post`` that waits in another thread fail at once."""
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # already closed

    def _exchange(self, request: bytes) -> Response:
        if self._socket is None:
            self._socket = self._connect()
        self._limit_wait(self._socket)
        # A single send. With two, the second packet would wait until the server acknowledges the first.
        self._socket.sendall(request)
        status, response_headers, keep_alive = self._read_head()
        while 100 <= status < 200:
            status, response_headers, keep_alive = self._read_head()
        response_body, has_known_end = self._read_body(status, response_headers)
        if not (keep_alive and has_known_end):
            self.close()
        return Response(status, response_headers, response_body)

    def _connect(self) -> socket.socket:
        first_hop = self._proxy or self._url
        connection = socket.create_connection((first_hop.host, first_hop.port), self._timeout_seconds)
        try:
            self._limit_wait(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._url.secure:
                if self._proxy:
                    self._open_tunnel(connection)
                assert self._tls is not None
                return self._tls.wrap_socket(connection, server_hostname=self._server_name)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_tunnel(self, connection: socket.socket) -> None:
        self._socket = connection
        target = f"{self._url.authority.removesuffix(f':{self._url.port}')}:{self._url.port}"
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("latin-1"))
        status, _, _ = self._read_head()
        self._socket = None
        if status != 200:
            raise HttpError(f"the proxy responds with {status}")

    def _receive(self) -> bytes:
        assert self._socket is not None
        self._limit_wait(self._socket)
        return self._socket.recv(65_536)

    def _limit_wait(self, connection: socket.socket) -> None:
        """Raises TimeoutError if the time of the exchange is over."""
        if self._deadline is not None:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            connection.settimeout(remaining)

    def _read_head(self) -> tuple[int, dict[str, str], bool]:
        data = self._unread
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > MAX_HEADER_BYTES:
                raise HttpError("the response's headers are too long")
            more = self._receive()
            if not more:
                if not data:
                    raise _ClosedBeforeResponseError("the connection was closed")
                raise HttpError("the response was cut short")
            data += more
        self._unread = data[end + 4 :]
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdigit():
            raise HttpError("this is not an HTTP server")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        connection = headers.get("connection", "").lower()
        keep = connection == "keep-alive" if version == "HTTP/1.0" else connection != "close"
        return int(status[:3]), headers, keep

    def _read_body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The body, and whether its end was known without closing the connection."""
        if status in (204, 304):
            return b"", True
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks(), True
        length = headers.get("content-length")
        if length is None:
            body = bytearray(self._unread)
            while more := self._receive():
                body += more
                self._check_length(len(body))
            self._unread = b""
            return bytes(body), False
        if not length.isdecimal():
            raise HttpError("the response has no valid length")
        self._check_length(int(length))
        return self._read_exactly(int(length)), True

    def _read_exactly(self, length: int) -> bytes:
        data = bytearray(self._unread)
        while len(data) < length:
            more = self._receive()
            if not more:
                raise HttpError("the response was cut short")
            data += more
        self._unread = bytes(data[length:])
        return bytes(data[:length])

    def _read_line(self) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            more = self._receive()
            if not more or len(self._unread) > MAX_HEADER_BYTES:
                raise HttpError("the response was cut short")
            self._unread += more
        line, self._unread = self._unread[:end], self._unread[end + 2 :]
        return line

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            digits = self._read_line().partition(b";")[0].strip()
            if not digits or digits.strip(b"0123456789abcdefABCDEF") or len(digits) > 16:
                raise HttpError("the response has an invalid chunk")
            size = int(digits, 16)
            if size == 0:
                while self._read_line():  # trailers
                    continue
                return bytes(body)
            # Before the chunk is read: its size is only a claim.
            self._check_length(len(body) + size)
            body += self._read_exactly(size + 2)[:size]

    def _check_length(self, length: int) -> None:
        if length > self._max_body_bytes:
            raise ResponseTooLongError(f"the response is longer than {self._max_body_bytes:,} bytes")


class _ClosedBeforeResponseError(HttpError):
    """The server closed the connection before the first byte of a response."""


def tls_context(ca_file: str, *, cert_file: str = "", key_file: str = "", verify: bool = True) -> "ssl.SSLContext":
    """Verifies certificate and host name against ``ca_file``, or against the authorities that the system trusts.

    ``cert_file``: the client's own certificate, with its key there or in ``key_file``. ``verify`` False: takes any
    certificate of the other side.

    Raises:
        OSError: a file cannot be read or contains no certificate or key.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file:
        # An empty password: a key that needs one is an error, and not a question on the terminal.
        context.load_cert_chain(cert_file, key_file or None, password="")
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
        # The file may contain the server's own certificate instead of the authority's.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
    paths = ssl.get_default_verify_paths()
    if sys.platform == "linux" and paths.capath and "SSL_CERT_FILE" not in os.environ:
        # OpenSSL loads only the issuer that it needs from the directory. Loading the bundle would cost 1.6 MB.
        context.load_verify_locations(capath=paths.capath)
        if not _has_hashed_names(paths.capath):
            context.load_default_certs()
    else:
        context.load_default_certs()
    return context


def _has_hashed_names(folder: str) -> bool:
    """Whether ``openssl rehash`` named the files (8 hex digits, a dot and a number), as on Debian, SUSE and Alpine."""
    with os.scandir(folder) as entries:
        return any(len(entry.name) == 10 and entry.name[8] == "." for entry in entries)
