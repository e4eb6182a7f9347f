"""What a response of the API server means.

Only an answer of Bongsu itself counts: a proxy or a captive portal answers with a page of its own, whatever the status.

* 2xx with a PushResponse that accounts for every frame: stored.
* 401, 403, 407: the server refuses the agent, not the frames. They are kept until it accepts the agent.
* 4xx with the error code ``time_ahead``: the server refuses frames whose time has not come on its clock. They wait.
* 4xx with any other error code: never send this push again. (The transport first repeats a push whose layouts are
  unknown.)
* 413 from somebody else: smaller pushes may pass.
* Everything else, and network errors: retry later.
"""

import enum
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from bongsu.core.errors import BongsuError
from bongsu.core.samples import PushResult
from bongsu.wire.encoder import decode_result

# A larger difference between the clocks of agent and server is reported, because it confuses readers of a dashboard.
MAX_CLOCK_SKEW_MS = 60_000


class Response(NamedTuple):
    """The names of ``headers`` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Verdict(enum.Enum):
    STORED = "stored"
    RETRY_LATER = "retry_later"
    # the server refuses the agent
    REFUSED = "refused"
    # the server will never take this push
    REJECTED = "rejected"
    # a proxy limits the size of a request
    TOO_LARGE = "too_large"
    # some time stamps are too far in the future of the server
    AHEAD = "ahead"


@dataclass(slots=True)
class Outcome:
    """``reason`` is for the log. ``retry_after_seconds`` is None if the server did not say when to retry."""

    verdict: Verdict
    result: PushResult = field(default_factory=PushResult)
    status: int = 0
    reason: str = ""
    retry_after_seconds: float | None = None
    sent_bytes: int = 0

    @property
    def newest_accepted_ms(self) -> int:
        """With ``AHEAD``: the server accepts time stamps up to this."""
        limit_seconds = (self.result.error.limit if self.result.error else None) or 0.0
        return self.result.server_time_ms + round(limit_seconds * 1000)


def outcome_of(response: Response, frames: int) -> Outcome:
    """The outcome of a push of so many frames."""
    status = response.status
    try:
        result = decode_result(response.body)
    except BongsuError:  # the page of a proxy
        result = PushResult()
    code = result.error.code if result.error else ""
    reason = result.error.message if result.error else f"HTTP status {status}"
    if not code and status < 500:
        reason = f"HTTP status {status}, but not from a Bongsu API server"
    retry_after = parse_retry_after(response.headers.get("retry-after", ""))
    if 200 <= status < 300 and not code and result.server_time_ms and result.accepted + result.duplicates == frames:
        return Outcome(Verdict.STORED, result, status)
    if status in (401, 403, 407):
        return Outcome(Verdict.REFUSED, result, status, reason, retry_after)
    if status == 413 and not code:
        return Outcome(Verdict.TOO_LARGE, result, status, reason, retry_after)
    if 400 <= status < 500 and code and not is_temporary(status):
        return Outcome(Verdict.AHEAD if code == "time_ahead" else Verdict.REJECTED, result, status, reason)
    return Outcome(Verdict.RETRY_LATER, result, status, reason, retry_after)


def is_temporary(status: int) -> bool:
    """Whether a later request with the same content may succeed."""
    return status in (408, 425, 429) or status >= 500


def parse_retry_after(text: str) -> float | None:
    """The seconds of a header ``Retry-After``: a number, or a date as in RFC 9110 section 10.2.3. None without any."""
    if not text:
        return None
    if text.isdecimal():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def explain(error: OSError | UnicodeError) -> str:
    """Why a connection failed, for the log."""
    if isinstance(error, UnicodeError):  # https://docs.python.org/3/library/codecs.html#module-encodings.idna
        return "the host name is not valid"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no response in time"
    name = type(error).__name__
    if name == "gaierror":
        return "the host name cannot be resolved"
    if name == "SSLCertVerificationError":
        return f"its certificate is not trusted ({getattr(error, 'verify_message', '')})"
    return getattr(error, "strerror", "") or str(error) or name
