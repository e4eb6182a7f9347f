"""What a response of the API server means.

* 2xx: stored.
* 408, 425, 429, 5xx and network errors: retry later.
* 401, 403, 407: the server refuses the agent, not the frames. They are kept until it accepts the agent.
* Any other 4xx: never send this push again. (The transport first repeats a push whose layouts are unknown.)
"""

import enum
import time
from dataclasses import dataclass, field

from bongsu.agent.delivery.http import Response
from bongsu.core.errors import BongsuError
from bongsu.core.samples import PushResult
from bongsu.wire.encoder import decode_result

# A larger difference between the clocks of agent and server is reported, because it confuses readers of a dashboard.
MAX_CLOCK_SKEW_MS = 60_000


class Verdict(enum.Enum):
    STORED = "stored"
    RETRY_LATER = "retry_later"
    # the server refuses the agent
    REFUSED = "refused"
    # the server will never take this push
    REJECTED = "rejected"


@dataclass(slots=True)
class Outcome:
    """``reason`` is for the log. ``retry_after_seconds`` is None if the server did not say when to retry."""

    verdict: Verdict
    result: PushResult = field(default_factory=PushResult)
    status: int = 0
    reason: str = ""
    retry_after_seconds: float | None = None
    sent_bytes: int = 0


def outcome_of(response: Response) -> Outcome:
    status = response.status
    try:
        result = decode_result(response.body)
    except BongsuError:  # the error page of a proxy
        result = PushResult()
    reason = result.error.message if result.error else f"HTTP status {status}"
    if 200 <= status < 300:
        return Outcome(Verdict.STORED, result, status)
    if status in (408, 425, 429) or status >= 500:
        return Outcome(
            Verdict.RETRY_LATER, result, status, reason, _retry_after(response.headers.get("retry-after", ""))
        )
    if status in (401, 403, 407):
        return Outcome(Verdict.REFUSED, result, status, reason, _retry_after(response.headers.get("retry-after", "")))
    return Outcome(Verdict.REJECTED, result, status, reason)


def _retry_after(text: str) -> float | None:
    """Parses seconds, or a date as in RFC 9110 section 10.2.3."""
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
    """Why a connection failed, for the log."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no response in time"
    name = type(error).__name__
    if name == "gaierror":
        return "the host name cannot be resolved"
    if name == "SSLCertVerificationError":
        return f"its certificate is not trusted ({getattr(error, 'verify_message', '')})"
    return error.strerror or str(error) or name
