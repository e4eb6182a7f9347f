"""A keep-alive HTTP/1.1 client for exactly one thing: POST a body, read the answer.

http.client does the same for 1.0 MB more (email.parser and what it imports) and 0.2 ms of CPU a request, a tenth of
what the agent spends on a tick. What is understood: Content-Length, chunked and until-close bodies, interim 1xx
answers, a proxy (absolute URL for http, CONNECT for https). What is not: redirects, compressed answers, trailers with
meaning.
"""

import os
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl

MAX_HEADER_BYTES = 65_536
# A PushResponse is under 100 bytes; an error page of a proxy may be longer, and nobody reads beyond this.
MAX_BODY_BYTES = 1_048_576


class HttpError(OSError):
    """The other side does not speak HTTP/1.1."""


class Url(NamedTuple):
    """``path`` starts with "/"; ``host`` is without brackets."""

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
        default = 443 if secure else 80
        if authority.startswith("["):
            host, _, port = authority[1:].partition("]")
            port = port.removeprefix(":")
        else:
            host, _, port = authority.partition(":")
        if not host or (port and not 0 < int(port) < 65_536):
            raise ValueError(f"{text!r} is not an address")
        return cls(secure, host, int(port) if port else default, slash + path or "/")

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Response(NamedTuple):
    """``headers``: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """To one address. Not for several threads, but ``abort`` may be called from any. Raises OSError on every kind of
    failure."""

    def __init__(
        self,
        url: Url,
        *,
        timeout_seconds: float,
        tls: "ssl.SSLContext | None" = None,
        proxy: Url | None = None,
        server_name: str = "",
    ) -> None:
        """``server_name``: what the certificate must be for; empty: the host of ``url``."""
        self._url = url
        self._server_name = server_name or url.host
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._proxy = proxy
        self._socket: socket.socket | None = None
        self._rest = b""

    def post(self, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Sends the request; once more on a new connection, when the other side had closed the idle one."""
        reused = self._socket is not None
        try:
            return self._exchange(path, headers, body)
        except (BrokenPipeError, ConnectionResetError, ConnectionAbortedError, _ClosedBeforeAnswerError):
            self.close()
            if not reused:
                raise
        except BaseException:
            self.close()
            raise
        try:
            return self._exchange(path, headers, body)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        connection, self._socket, self._rest = self._socket, None, b""
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Lets a ``post`` that waits in another thread fail at once."""
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed already

    def _exchange(self, path: str, headers: dict[str, str], body: bytes) -> Response:
        if self._socket is None:
            self._socket = self._connect()
        url = self._url
        target = f"http://{url.authority}{path}" if self._proxy and not url.secure else path
        lines = [f"POST {target} HTTP/1.1", f"Host: {url.authority}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines) + "\r\n\r\n"
        # one send: two would be two packets, and a wait for the first one's acknowledgement in between
        self._socket.sendall(head.encode("latin-1") + body)
        status, answer, keep = self._head()
        while 100 <= status < 200:
            status, answer, keep = self._head()
        content, framed = self._body(status, answer)
        if not (keep and framed):
            self.close()
        return Response(status, answer, content)

    def _connect(self) -> socket.socket:
        near = self._proxy or self._url
        connection = socket.create_connection((near.host, near.port), self._timeout_seconds)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._url.secure:
                if self._proxy:
                    self._tunnel(connection)
                assert self._tls is not None
                return self._tls.wrap_socket(connection, server_hostname=self._server_name)
        except BaseException:
            connection.close()
            raise
        return connection

    def _tunnel(self, connection: socket.socket) -> None:
        self._socket = connection
        target = f"{self._url.authority.removesuffix(f':{self._url.port}')}:{self._url.port}"
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("latin-1"))
        status, _, _ = self._head()
        self._socket = None
        if status != 200:
            raise HttpError(f"the proxy answers {status}")

    def _receive(self) -> bytes:
        assert self._socket is not None
        return self._socket.recv(65_536)

    def _head(self) -> tuple[int, dict[str, str], bool]:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > MAX_HEADER_BYTES:
                raise HttpError("the answer's headers are too long")
            more = self._receive()
            if not more:
                if not data:
                    raise _ClosedBeforeAnswerError("the connection was closed")
                raise HttpError("the answer was cut short")
            data += more
        self._rest = data[end + 4 :]
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

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The body, and whether the connection is good for another request."""
        if status in (204, 304):
            return b"", True
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks(), True
        length = headers.get("content-length")
        if length is None:
            body = self._rest
            while more := self._receive():
                body = _limited(body + more)
            self._rest = b""
            return body, False
        if not length.isdecimal():
            raise HttpError("the answer has no valid length")
        _limited(b"", int(length))
        return self._exactly(int(length)), True

    def _exactly(self, length: int) -> bytes:
        data = bytearray(self._rest)
        while len(data) < length:
            more = self._receive()
            if not more:
                raise HttpError("the answer was cut short")
            data += more
        self._rest = bytes(data[length:])
        return bytes(data[:length])

    def _line(self) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            more = self._receive()
            if not more or len(self._rest) > MAX_HEADER_BYTES:
                raise HttpError("the answer was cut short")
            self._rest += more
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    def _chunks(self) -> bytes:
        body = b""
        while True:
            try:
                size = int(self._line().partition(b";")[0], 16)
            except ValueError:
                raise HttpError("the answer's chunks are broken") from None
            if size == 0:
                while self._line():
                    continue
                return body
            body = _limited(body + self._exactly(size + 2)[:size])


class _ClosedBeforeAnswerError(HttpError):
    """The connection was closed before the first byte of an answer."""


def _limited(body: bytes, length: int = 0) -> bytes:
    if max(len(body), length) > MAX_BODY_BYTES:
        raise HttpError("the answer is too long")
    return body


def tls_context(ca_file: str) -> "ssl.SSLContext":
    """Verifies certificate and host name, against ``ca_file`` or what the system trusts.

    Raises:
        OSError: ``ca_file`` cannot be read or holds no certificate.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
        # The file may hold the server's own certificate instead of the authority that signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
    paths = ssl.get_default_verify_paths()
    if sys.platform == "linux" and paths.capath and "SSL_CERT_FILE" not in os.environ:
        # The directory is looked into for the one issuer that is needed; the bundle would be 1.6 MB of parsed
        # certificates.
        context.load_verify_locations(capath=paths.capath)
        if not _has_hashed_names(paths.capath):
            context.load_default_certs()
    else:
        context.load_default_certs()
    return context


def _has_hashed_names(folder: str) -> bool:
    """Whether openssl rehash was run there (Debian, SUSE and Alpine do): 8 hex digits, a dot and a number."""
    with os.scandir(folder) as entries:
        return any(len(entry.name) == 10 and entry.name[8] == "." for entry in entries)
