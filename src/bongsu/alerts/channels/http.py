"""Posts to the HTTP APIs of chat and SMS services, and tells which failures are worth a retry."""

import asyncio
import datetime as dt
import email.utils
import math
from datetime import timedelta
from typing import Any

import httpx

from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS, ChannelError
from bongsu.alerts.channels.text import clean

# Timeout, conflict, locked, too early, too many requests. Every 5xx is retryable as well.
RETRYABLE = frozenset({408, 409, 423, 425, 429})
LONGEST_WAIT = timedelta(hours=6)


def retry_after(response: httpx.Response) -> timedelta | None:
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


async def post(http: httpx.AsyncClient, url: str, *, vendor: str, **request: Any) -> httpx.Response:
    """Sends a POST and returns the answer, which is a 2xx.

    Raises:
        ChannelError: the POST failed. The message has the status and the answer, never the URL, which may be secret.
    """
    try:
        # The timeouts of httpx apply to each step; this one to all of them together.
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
        f"{vendor} answered {status}: {clean(response.text) or 'no text'}",
        retryable=status in RETRYABLE or status >= 500,
        retry_after=retry_after(response),
    )
