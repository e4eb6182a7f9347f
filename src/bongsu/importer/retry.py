"""Requests that are repeated while the other side is away or busy."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from bongsu.core.errors import BongsuError, Unavailable
from bongsu.core.text import visible
from bongsu.wire.outcome import explain, is_temporary, parse_retry_after

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
# Whoever is away for longer needs a person.
PATIENCE_SECONDS = 600.0
_SHOWN_CHARACTERS = 300
# A failure is told only if it lasts, so that a busy server does not fill the screen.
_TOLD_SECONDS = 2.0


@dataclass
class Retrier:
    """Repeats requests until they are answered. ``sleep`` and ``monotonic`` are replaced in tests."""

    say: Callable[[str], None]
    patience_seconds: float = PATIENCE_SECONDS
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def answer(self, whom: str, send: Callable[[], httpx.Response], *, again: bool = True) -> httpx.Response:
        """The first answer that is not only temporary. ``again``: False asks only once if nobody can be reached.

        Raises:
            Unavailable: the other side was away for too long.
            httpx.ReadTimeout: it did not answer in time, twice in a row.
        """
        began, wait, timeouts = self.monotonic(), FIRST_WAIT_SECONDS, 0
        while True:
            asked: float | None = None
            try:
                answer = send()
                if not is_temporary(answer.status_code):
                    return answer
                asked = parse_retry_after(answer.headers.get("Retry-After", ""))
                reason = f"it answers with HTTP {answer.status_code}{_message(answer)}"
            except httpx.ReadTimeout:
                timeouts += 1
                if timeouts == 2:
                    raise
                reason = "no answer in time"
            except httpx.TransportError as error:
                reason = cause(error)
                if not again:
                    raise Unavailable(f"Cannot reach {whom}: {reason}.") from None
            passed = self.monotonic() - began
            if passed > self.patience_seconds:
                raise Unavailable(f"Gave up on {whom} after {passed:.0f} s: {reason}.")
            seconds = min(wait if asked is None else max(asked, 0.05), self.patience_seconds)
            if seconds + passed >= _TOLD_SECONDS:
                self.say(f"{whom}: {reason}; trying again in {seconds:.1f} s")
            self.sleep(seconds)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def cause(error: BaseException) -> str:
    """Why a connection failed."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return explain(found)
        found = found.__cause__ or found.__context__
    return visible(str(error))[:_SHOWN_CHARACTERS] or type(error).__name__


def problem(answer: httpx.Response) -> tuple[str, str, float | None]:
    """Code, message and limit of an answer that is an error; code and message are empty if it does not say them.
    Bongsu's own errors, and those of Prometheus."""
    try:
        body = answer.json()
    except ValueError:
        return "", "", None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        return str(body.get("errorType", "")), visible(error)[:_SHOWN_CHARACTERS], None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return "", "", None
    limit = error.get("limit")
    return (
        str(error.get("code", "")),
        visible(error["message"])[:_SHOWN_CHARACTERS],
        float(limit) if isinstance(limit, int | float) else None,
    )


def refusal(whom: str, answer: httpx.Response) -> BongsuError:
    """An answer that ends the import."""
    return BongsuError(f"{whom} answers with HTTP {answer.status_code}{_message(answer)}.")


def _message(answer: httpx.Response) -> str:
    message = problem(answer)[1].rstrip(".")
    return f" ({message})" if message else ""
