"""Fetches the page of a target over HTTP.

Redirects are not followed: a target must not send its password or token, or the agent, to another place. The
connection is kept open between scrapes. Files with secrets are read again each time, certificates when a connection
fails, so both can be replaced.
"""

import base64
import os
from collections.abc import Iterator

from bongsu import __version__
from bongsu.agent.http import Connection, ResponseTooLongError, Url, tls_context
from bongsu.agent.scrape.page import OverLimitError, Page
from bongsu.agent.scrape.text_format import ParseError
from bongsu.agent.scrape_config import TargetConfig
from bongsu.core.errors import BongsuError
from bongsu.core.units import format_bytes
from bongsu.wire.outcome import Response, explain

# The plain format first: it has no exemplars, which take long to parse.
ACCEPT = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
PIECE_BYTES = 65_536
MAX_SECRET_BYTES = 4_096


class FetchError(BongsuError):
    """The target does not answer as it should."""

    code = "scrape_failed"


class Fetcher:
    """Only one thread at a time may use it, but any thread may call ``abort``."""

    def __init__(self, config: TargetConfig) -> None:
        self._config = config
        self._url = Url.parse(config.url)
        self._connection: Connection | None = None

    def read_into(self, page: Page) -> None:
        """Fetches the target's page.

        Raises:
            FetchError: the target does not answer as it should, or a secret cannot be read.
            ParseError: its answer is not in Prometheus' text format.
            OverLimitError: the answer is over a limit.
        """
        response = self._fetch()
        content_type = response.headers.get("content-type", "").lower()
        if "protobuf" in content_type:
            raise FetchError("The target answers with protobuf, which is not understood.")
        if response.headers.get("content-encoding", "").lower() in ("", "identity"):
            body = memoryview(response.body)
            for start in range(0, len(body), PIECE_BYTES):
                page.feed(bytes(body[start : start + PIECE_BYTES]))
        else:
            for piece in self._unpacked(response):
                page.feed(piece)
        page.end(open_metrics=content_type.startswith("application/openmetrics-text"))

    def abort(self) -> None:
        """Makes a fetch in another thread fail at once."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fetch(self) -> Response:
        headers = self._headers()
        try:
            if self._connection is None:
                self._connection = self._connect()
            response = self._connection.get(self._url.path, headers)
        except ResponseTooLongError:
            self.close()
            raise self._too_long() from None
        except (OSError, UnicodeError) as error:
            self.close()
            raise FetchError(_sentence(explain(error))) from None
        location = response.headers.get("location", "")
        if 300 <= response.status < 400 and location:
            # only what names the place: its query may hold a secret
            place = location.partition("?")[0][:200]
            raise FetchError(f"The target redirects to {place!r}. Configure the URL that it redirects to.")
        if response.status in (401, 403):
            raise FetchError(f"The target refuses to answer: HTTP status {response.status}. Are its credentials right?")
        if response.status != 200:
            raise FetchError(f"The target answers with HTTP status {response.status}.")
        return response

    def _connect(self) -> Connection:
        config = self._config
        tls = None
        if self._url.secure:
            try:
                tls = tls_context(
                    config.ca_file, cert_file=config.cert_file, key_file=config.key_file, verify=config.verify
                )
            except OSError as error:
                raise FetchError(f"A certificate or key cannot be read: {error.strerror or error}.") from None
        return Connection(
            self._url,
            timeout_seconds=config.timeout_ms / 1000,
            tls=tls,
            server_name=config.server_name,
            max_body_bytes=config.body_size_limit,
        )

    def _headers(self) -> dict[str, str]:
        config = self._config
        headers = {
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip",
            "User-Agent": f"bongsu-agent/{__version__}",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{config.timeout_ms / 1000:g}",
        }
        token = _secret(config.token, config.token_file, config.token_env)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif config.username:
            password = _secret(config.password, config.password_file, config.password_env)
            encoded = base64.b64encode(f"{config.username}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        return headers

    def _unpacked(self, response: Response) -> Iterator[bytes]:
        encoding = response.headers["content-encoding"].lower()
        if encoding not in ("gzip", "x-gzip"):
            raise FetchError(f"The target answers in the encoding {encoding[:40]!r}, which was not asked for.")
        import zlib

        unpacker = zlib.decompressobj(wbits=31)
        size = 0
        rest = response.body
        try:
            while rest and not unpacker.eof:
                piece = unpacker.decompress(rest, PIECE_BYTES)
                rest = unpacker.unconsumed_tail
                size += len(piece)
                if size > self._config.body_size_limit:
                    raise self._too_long()
                yield piece
        except zlib.error:
            raise ParseError("The page is not valid gzip.") from None
        if not unpacker.eof:
            raise ParseError("The page was cut short.")

    def _too_long(self) -> OverLimitError:
        limit = self._config.body_size_limit
        return OverLimitError(f"The page is longer than {format_bytes(limit)}, its body_size_limit.", limit=limit)


def _secret(text: str, file: str, variable: str) -> str:
    """Raises FetchError, without the secret, if it cannot be read or sent."""
    if variable:
        text = os.environ.get(variable, "")
        if not text:
            raise FetchError(f"The environment variable {variable} is empty.")
    elif file:
        try:
            with open(file, encoding="utf-8") as opened:
                text = opened.read(MAX_SECRET_BYTES).strip()
        except OSError as error:
            raise FetchError(f"{file} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise FetchError(f"{file} is not a UTF-8 text file.") from None
        if not text:
            raise FetchError(f"{file} is empty.")
    if not text.isprintable():
        raise FetchError("A secret of the target contains characters that cannot be sent.")
    return text


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
