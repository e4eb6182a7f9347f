"""Times as people write them in a URL: Unix milliseconds, ISO 8601, ``now`` or ``-6h``."""

import datetime as dt

from bongsu.core.errors import InvalidInput
from bongsu.core.units import parse_duration_ms

# A smaller number (before 1973 in ms) is probably in seconds; the message says so.
_SMALLEST_MS = 100_000_000_000


def parse_time_ms(text: str, now_ms: int, *, field: str) -> int:
    """Unix milliseconds.

    Raises:
        InvalidInput: not a time in one of the formats.
    """
    text = text.strip()
    if text == "now":
        return now_ms
    if text.startswith("-") and text[1:2].isdigit():
        return now_ms - parse_duration_ms(text[1:], field=field)
    if text.isdecimal():
        time_ms = int(text[:20])
        if not _SMALLEST_MS <= time_ms < 2**53:
            raise InvalidInput(f"{field}: {text[:20]} is not Unix time in milliseconds; is it in seconds?", field=field)
        return time_ms
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{field}: {text!r} is not a time: use Unix milliseconds, ISO 8601, now, or -15m, -6h, -7d.", field=field
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return int(moment.timestamp() * 1000)


def parse_range(start: str, end: str, now_ms: int) -> tuple[int, int]:
    """Half-open ``[start, end)`` in Unix milliseconds.

    Raises:
        InvalidInput: not a time, or the end is not after the start.
    """
    start_ms = parse_time_ms(start, now_ms, field="start")
    end_ms = parse_time_ms(end, now_ms, field="end")
    if end_ms <= start_ms:
        raise InvalidInput("start must be before end.", field="start")
    return start_ms, end_ms
