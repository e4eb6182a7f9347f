"""One push to the API server: encode, POST, and what the answer means.

2xx: stored. 409 with unknown layouts: once more, with them. 408, 425, 429, 5xx and every failure of the network:
later. 401, 403, 407: the agent is refused, not the frames, so they are kept for when it is let in. Any other 4xx: this
request never again. With several addresses, the next one is tried after a failure.
"""

import enum
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bongsu.agent.delivery.credentials import ENROL_PATH, Credentials, answered_reason, answered_token
from bongsu.agent.delivery.http import Connection, Response, Url, tls_context
from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.samples import HostFacts, Push, PushResult
from bongsu.wire.encoder import CONTENT_TYPE, decode_result, encode_push

if TYPE_CHECKING:
    import ssl

PATH = "/api/metrics"
# One frame of 150 values is 1.2 KB and mostly noise: gzip gains 60 % of it but costs 0.1 ms. A backlog is worth it.
COMPRESS_FROM_BYTES = 8_192
# After a fail-over, the first address is asked again this often.
RETURN_AFTER_SECONDS = 300.0


class Verdict(enum.Enum):
    """What became of a push."""

    STORED = "stored"
    LATER = "later"
    REFUSED = "refused"
    REJECTED = "rejected"


@dataclass(slots=True)
class Outcome:
    """``reason`` is for people. ``retry_after_seconds`` is None unless the server said so."""

    verdict: Verdict
    result: PushResult = field(default_factory=PushResult)
    status: int = 0
    reason: str = ""
    retry_after_seconds: float | None = None
    sent_bytes: int = 0
    asked_for_layouts: bool = False


class Transport:
    """Used by one thread; ``abort`` may be called from any."""

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
        timeout_seconds: float = 10.0,
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
        self._at = 0
        self._left_first_at = 0.0
        self._connection: Connection | None = None
        # what the server at the other end has been told in this process
        self._known: set[int] = set()
        self._host_sent: HostFacts | None = None

    @property
    def server(self) -> str:
        """The address in use, for people."""
        url = self._urls[self._at]
        return f"{'https' if url.secure else 'http'}://{url.authority}"

    def send(self, push: Push) -> Outcome:
        """Sends ``push``, whose layouts are those of its frames, and whose host facts are left out once the server has
        them."""
        self._maybe_return()
        enrolled = None if "Authorization" in self._headers else self._enrol()
        outcome = enrolled or self._try(push, with_all=False)
        if outcome.status == 401 and enrolled is None:
            # Revoked, or the server is a new one: a person, or the enrolment token that we were given, may help.
            outcome = self._enrol(refused=outcome) or self._try(push, with_all=True)
        if outcome.status == 409 and outcome.result.unknown_layouts:
            self._known.difference_update(outcome.result.unknown_layouts)
            outcome = self._try(push, with_all=True)
            outcome.asked_for_layouts = True
        if outcome.verdict is Verdict.STORED:
            self._known.update(layout.id for layout in push.layouts)
            self._host_sent = push.host
        elif outcome.verdict is not Verdict.REJECTED:
            self._next_address()
        return outcome

    def _take_token(self) -> bool:
        """Whether there is a token, and not the one that we had."""
        before = self._headers.pop("Authorization", None)
        token = self._credentials.read() if self._credentials is not None else ""
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        return bool(token) and self._headers["Authorization"] != before

    def _enrol(self, *, refused: "Outcome | None" = None) -> "Outcome | None":
        """Gets a token for the enrolment token, or reads one that was put there. None: go on and push.

        ``refused``: what became of the token that we have; without a way to another one, it stays at that.
        """
        credentials = self._credentials
        try:
            if self._take_token():
                return None
            enrolment = credentials.enrolment_token() if credentials is not None and not credentials.fixed else ""
            if credentials is None or not enrolment:
                return refused
            body = json.dumps({"agent_id": credentials.agent_id, "name": self._name or credentials.agent_id}).encode()
            headers = {**self._agent, "Content-Type": "application/json", "Authorization": f"Bearer {enrolment}"}
            response = self._connect().post(self._urls[self._at].path.rstrip("/") + ENROL_PATH, headers, body)
            token = answered_token(response.body) if response.status == 200 else ""
            if token:
                credentials.keep(token)
                self._headers["Authorization"] = f"Bearer {token}"
                return None
        except BongsuError as error:
            return Outcome(Verdict.REFUSED, status=401, reason=error.message)
        except OSError as error:
            self._failed(error)
            return Outcome(Verdict.LATER, reason=explain(error))
        outcome = judge(response)
        if outcome.verdict is not Verdict.LATER:
            reason = answered_reason(response.body) or f"HTTP status {response.status}"
            outcome = Outcome(Verdict.REFUSED, status=response.status, reason=f"it could not be enrolled: {reason}")
        return outcome

    def _failed(self, error: OSError) -> None:
        self.close()
        if type(error).__name__ == "SSLCertVerificationError":
            self._tls = None  # the file that it was compared with may have a newer one by the next try

    def abort(self) -> None:
        """Lets a ``send`` in another thread fail at once."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, push: Push, *, with_all: bool) -> Outcome:
        lean = Push(
            push.agent,
            push.host if with_all or push.host != self._host_sent else None,
            [layout for layout in push.layouts if with_all or layout.id not in self._known],
            push.frames,
            push.process_lists,
            SystemClock().now_ms(),
        )
        body = encode_push(lean)
        headers = self._headers
        if len(body) >= COMPRESS_FROM_BYTES:
            import zlib

            packed = zlib.compress(body, 1, wbits=31)
            if len(packed) < 0.9 * len(body):
                body = packed
                headers = {**headers, "Content-Encoding": "gzip"}
        try:
            response = self._connect().post(self._urls[self._at].path.rstrip("/") + PATH, headers, body)
        except OSError as error:
            self._failed(error)
            return Outcome(Verdict.LATER, reason=explain(error), sent_bytes=len(body))
        outcome = judge(response)
        outcome.sent_bytes = len(body)
        return outcome

    def _connect(self) -> Connection:
        if self._connection is None:
            url = self._urls[self._at]
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

    def _next_address(self) -> None:
        if len(self._urls) < 2:
            return
        if self._at == 0:
            self._left_first_at = self._monotonic()
        self._go_to((self._at + 1) % len(self._urls))

    def _maybe_return(self) -> None:
        if self._at and self._monotonic() - self._left_first_at >= RETURN_AFTER_SECONDS:
            self._left_first_at = self._monotonic()
            self._go_to(0)

    def _go_to(self, at: int) -> None:
        self.close()
        self._at = at
        self._known.clear()
        self._host_sent = None


def judge(response: Response) -> Outcome:
    """What an answer means."""
    status = response.status
    try:
        result = decode_result(response.body)
    except BongsuError:  # a proxy's page
        result = PushResult()
    reason = result.error.message if result.error else f"HTTP status {status}"
    if 200 <= status < 300:
        return Outcome(Verdict.STORED, result, status)
    if status in (408, 425, 429) or status >= 500:
        return Outcome(Verdict.LATER, result, status, reason, _retry_after(response.headers.get("retry-after", "")))
    if status in (401, 403, 407):
        return Outcome(Verdict.REFUSED, result, status, reason, _retry_after(response.headers.get("retry-after", "")))
    return Outcome(Verdict.REJECTED, result, status, reason)


def _retry_after(text: str) -> float | None:
    """Seconds, or a date as in RFC 9110 section 10.2.3."""
    if not text:
        return None
    if text.isdecimal():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def explain(error: OSError) -> str:
    """Why a connection failed, in words for people."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    name = type(error).__name__
    if name == "gaierror":
        return "the host name cannot be resolved"
    if name == "SSLCertVerificationError":
        return f"its certificate is not trusted ({getattr(error, 'verify_message', '')})"
    return error.strerror or str(error) or name
