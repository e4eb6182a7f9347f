"""HTTP as the vendors of chat and SMS speak it: what an answer means."""

import asyncio
import datetime as dt
import email.utils
import math
from datetime import timedelta
from typing import Any

import httpx

from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS
from bongsu.alerts.errors import ChannelError

# Later: a timeout, a conflict, too early, too many; and everything that is the other side's fault.
RETRYABLE = frozenset({408, 409, 423, 425, 429})
MOST_ANSWER = 300
LONGEST_WAIT = timedelta(hours=6)


def clean(text: str) -> str:
    """One line of an answer, for the record."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())[:MOST_ANSWER]


def retry_after(response: httpx.Response) -> timedelta | None:
    """``Retry-After`` in seconds (also with a fraction, as Discord sends it) or as a date."""
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


async def post(http: httpx.AsyncClient, url: str, *, vendor: str, **request: Any) -> httpx.Response:
    """A POST that must succeed.

    Raises:
        ChannelError: it did not. The message names the status and the answer, never the URL, which may be a secret.
    """
    try:
        # httpx has a timeout for each step; this one is for all of them together.
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            response = await http.post(url, follow_redirects=False, **request)
    except (TimeoutError, httpx.TimeoutException):
        raise ChannelError(f"{vendor} did not answer within {SEND_TIMEOUT_SECONDS:g} s.", retryable=True) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
        raise ChannelError(f"The address for {vendor} is not valid.", retryable=False) from None
    except httpx.HTTPError as error:
        reason = "TLS failed" if "SSL" in str(error) or "certificate" in str(error) else type(error).__name__
        raise ChannelError(f"{vendor} cannot be reached: {reason}.", retryable=True) from None
    if response.is_success:
        return response
    status = response.status_code
    raise ChannelError(
        f"{vendor} answered {status}: {clean(response.text) or 'nothing'}",
        retryable=status in RETRYABLE or status >= 500,
        retry_after=retry_after(response),
    )
