"""Sends one push to the API server: enrols if needed, leaves out what the server already has, and fails over.

If the server does not know a layout (409), the push is sent again at once with its layouts. If there are several server
URLs, each failure switches to the next one.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bongsu.agent.defaults import TIMEOUT_MS
from bongsu.agent.delivery.credentials import Credentials
from bongsu.agent.http import Connection, Url, tls_context
from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.samples import HostFacts, Push
from bongsu.wire.encoder import CONTENT_TYPE, METRICS_PATH, encode_push
from bongsu.wire.enrolment import ENROL_PATH, enrolment_body, reason_in_response, token_in_response
from bongsu.wire.outcome import Outcome, Response, Verdict, explain, is_temporary, outcome_of

if TYPE_CHECKING:
    import ssl

# A frame of 150 values takes 1.2 KB. gzip would save 60 % of that, at 0.1 ms of CPU; only a backlog is worth it.
COMPRESS_FROM_BYTES = 8_192
# How long to use another URL after a failure before trying the first one again.
RETURN_AFTER_SECONDS = 300.0


class Transport:
    """Only one thread may use it, but any thread may call ``abort``."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        token: str = "",
        credentials: Credentials | None = None,
        name: str = "",
        version: str = "",
        proxy: str = "",
        ca_file: str = "",
        server_name: str = "",
        timeout_seconds: float = TIMEOUT_MS / 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._urls = [Url.parse(server) for server in servers]
            self._proxy = Url.parse(proxy) if proxy else None
        except ValueError as error:
            raise ConfigError(f"{error}.") from None
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._server_name = server_name
        self._credentials = credentials or (Credentials("", "", token=token) if token else None)
        self._name = name
        self._agent = {"User-Agent": f"bongsu-agent/{version}"}
        self._headers = {"Content-Type": CONTENT_TYPE, **self._agent}
        self._take_token()
        self._url_index = 0
        self._left_first_url_at = 0.0
        self._connection: Connection | None = None
        # what this process has sent to the current server
        self._sent_layouts: set[int] = set()
        self._sent_host: HostFacts | None = None

    @property
    def server(self) -> str:
        """The current server URL, for the log."""
        url = self._url
        return f"{'https' if url.secure else 'http'}://{url.authority}"

    def send(self, push: Push) -> Outcome:
        """Sends ``push``. Leaves out the layouts and host facts that the server already has."""
        self._return_to_first_url()
        failed_enrolment = None if "Authorization" in self._headers else self._enrol()
        outcome = failed_enrolment or self._try(push, complete=False)
        if outcome.status == 401 and failed_enrolment is None:
            # The token was revoked, or the server is a new one. A new token may have been provided, or enrolling helps.
            outcome = self._enrol(refusal=outcome) or self._try(push, complete=True)
        if outcome.status == 409 and outcome.result.unknown_layouts:
            self._sent_layouts.difference_update(outcome.result.unknown_layouts)
            outcome = self._try(push, complete=True)
        if outcome.verdict is Verdict.STORED:
            self._sent_layouts.update(layout.id for layout in push.layouts)
            self._sent_host = push.host
        elif outcome.verdict in (Verdict.RETRY_LATER, Verdict.REFUSED):
            self._switch_to_next_url()
        return outcome

    def _take_token(self) -> bool:
        """Reads the token again. Returns whether it is a new one."""
        previous = self._headers.pop("Authorization", None)
        token = self._credentials.read() if self._credentials is not None else ""
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        return bool(token) and self._headers["Authorization"] != previous

    def _enrol(self, *, refusal: Outcome | None = None) -> Outcome | None:
        """Reads a token that was provided, or gets one for the enrolment token. Returns None to go on with the push.

        ``refusal``: the outcome of the push with the current token, which is returned if there is no way to a new one.
        """
        credentials = self._credentials
        try:
            if self._take_token():
                return None
            enrolment_token = ""
            if credentials is not None and not credentials.is_configured:
                enrolment_token = credentials.enrolment_token()
            if credentials is None or not enrolment_token:
                return refusal
            body = enrolment_body(credentials.agent_id, self._name or credentials.agent_id)
            headers = {
                **self._agent,
                "Content-Type": "application/json",
                "Authorization": f"Bearer {enrolment_token}",
            }
            response = self._post(ENROL_PATH, headers, body)
            token = token_in_response(response.body) if response.status == 200 else ""
            if token:
                credentials.store(token)
                self._headers["Authorization"] = f"Bearer {token}"
                return None
        except BongsuError as error:
            return Outcome(Verdict.REFUSED, status=401, reason=error.message)
        except (OSError, UnicodeError) as error:
            self._on_connection_error(error)
            return Outcome(Verdict.RETRY_LATER, reason=explain(error))
        reason = reason_in_response(response.body)
        if is_temporary(response.status) or not reason:
            reason = reason or f"HTTP status {response.status}, but not from a Bongsu API server"
            return Outcome(Verdict.RETRY_LATER, status=response.status, reason=f"it cannot enrol: {reason}")
        return Outcome(Verdict.REFUSED, status=response.status, reason=f"it cannot enrol: {reason}")

    def _on_connection_error(self, error: OSError | UnicodeError) -> None:
        self.close()
        if type(error).__name__ == "SSLCertVerificationError":
            self._tls = None  # read the CA file again at the next try; it may have been replaced

    def abort(self) -> None:
        """Makes a ``send`` in another thread fail at once."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, push: Push, *, complete: bool) -> Outcome:
        reduced = Push(
            push.agent,
            push.host if complete or push.host != self._sent_host else None,
            [layout for layout in push.layouts if complete or layout.id not in self._sent_layouts],
            push.frames,
            push.process_lists,
            SystemClock().now_ms(),
            push.container_lists,
        )
        body = encode_push(reduced)
        headers = self._headers
        if len(body) >= COMPRESS_FROM_BYTES:
            import zlib

            compressed = zlib.compress(body, 1, wbits=31)
            if len(compressed) < 0.9 * len(body):
                body = compressed
                headers = {**headers, "Content-Encoding": "gzip"}
        try:
            response = self._post(METRICS_PATH, headers, body)
        except (OSError, UnicodeError) as error:
            self._on_connection_error(error)
            return Outcome(Verdict.RETRY_LATER, reason=explain(error), sent_bytes=len(body))
        outcome = outcome_of(response, len(push.frames))
        outcome.sent_bytes = len(body)
        return outcome

    @property
    def _url(self) -> Url:
        return self._urls[self._url_index]

    def _post(self, path: str, headers: dict[str, str], body: bytes) -> Response:
        return self._connect().post(self._url.path.rstrip("/") + path, headers, body)

    def _connect(self) -> Connection:
        if self._connection is None:
            url = self._url
            if url.secure and self._tls is None:
                self._tls = tls_context(self._ca_file)
            self._connection = Connection(
                url,
                timeout_seconds=self._timeout_seconds,
                tls=self._tls,
                proxy=self._proxy,
                server_name=self._server_name,
            )
        return self._connection

    def _switch_to_next_url(self) -> None:
        if len(self._urls) < 2:
            return
        if self._url_index == 0:
            self._left_first_url_at = self._monotonic()
        self._switch_to((self._url_index + 1) % len(self._urls))

    def _return_to_first_url(self) -> None:
        if self._url_index and self._monotonic() - self._left_first_url_at >= RETURN_AFTER_SECONDS:
            self._left_first_url_at = self._monotonic()
            self._switch_to(0)

    def _switch_to(self, url_index: int) -> None:
        self.close()
        self._url_index = url_index
        self._sent_layouts.clear()
        self._sent_host = None
