"""Posts to the HTTP APIs of chat and SMS services, and tells which failures are worth a retry.

The address of a service is the choice of whoever set up the channel, so an answer may come from any server that Bongsu
can reach. It is never shown as it is: channels pick from it what their service documents, such as an error code.
"""

import asyncio
import datetime as dt
import email.utils
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS, ChannelError
from bongsu.alerts.notes import Code, note

if TYPE_CHECKING:
    import httpx

# Timeout, conflict, locked, too early, too many requests. Every 5xx is retryable as well.
RETRYABLE = frozenset({408, 409, 423, 425, 429})
LONGEST_WAIT = timedelta(hours=6)
# Nothing that Bongsu reads from an answer is longer.
ANSWER_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx. ``text``: its beginning, to pick from, not to show."""

    status: int
    text: str


def retry_after(response: "httpx.Response") -> timedelta | None:
    """``Retry-After`` in seconds (Discord sends fractions) or as a date; None if there is none."""
    text = response.headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
            seconds = (moment - dt.datetime.now(dt.UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    if not math.isfinite(seconds):
        return None
    return min(timedelta(seconds=max(0.0, seconds)), LONGEST_WAIT)


async def post(
    http: "httpx.AsyncClient", url: str, *, vendor: str, explain: Callable[[str], str] = lambda text: "", **request: Any
) -> Answer:
    """Sends a POST and returns the answer, which is a 2xx. ``vendor``: the service as notes name it. ``explain``: what
    to show of the text of another answer.

    Raises:
        ChannelError: the POST failed. The message has the status, never the URL, which may be secret.
    """
    import httpx

    headers = {"Accept-Encoding": "identity"} | request.pop("headers", {})
    try:
        # The timeouts of httpx apply to each step; this one to all of them together.
        async with (
            asyncio.timeout(SEND_TIMEOUT_SECONDS),
            http.stream("POST", url, follow_redirects=False, headers=headers, **request) as response,
        ):
            text = await _beginning(response)
    except (TimeoutError, httpx.TimeoutException):
        why = note(Code.NO_ANSWER, service=vendor, limit_seconds=SEND_TIMEOUT_SECONDS)
        raise ChannelError(why, retryable=True) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
        raise ChannelError(note(Code.ADDRESS_NOT_VALID, service=vendor), retryable=False) from None
    except httpx.HTTPError as error:
        reason = "TLS failed" if "SSL" in str(error) or "certificate" in str(error) else type(error).__name__
        raise ChannelError(note(Code.UNREACHABLE, service=vendor, problem=reason), retryable=True) from None
    if response.is_success:
        return Answer(response.status_code, text)
    status, explanation = response.status_code, explain(text)
    if explanation:
        why = note(Code.STATUS_BECAUSE, service=vendor, status=status, explanation=explanation)
    else:
        why = note(Code.STATUS, service=vendor, status=status)
    raise ChannelError(
        why,
        retryable=status in RETRYABLE or status >= 500,
        retry_after=retry_after(response),
    )


async def _beginning(response: "httpx.Response") -> str:
    """At most ANSWER_BYTES, so that no answer fills the memory; not decompressed, for the same reason."""
    read = bytearray()
    async for chunk in response.aiter_raw(ANSWER_BYTES):
        read += chunk
        if len(read) >= ANSWER_BYTES:
            break
    return bytes(read[:ANSWER_BYTES]).decode("utf-8", "replace")


def json_field(text: str, key: str) -> Any:
    """A field of a JSON object; None if the text is not one, or has no such field."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value.get(key) if isinstance(value, dict) else None
