"""Field types that rules, silences, channels and settings share: durations and time zones as text."""

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from bongsu.core.errors import InvalidInput
from bongsu.core.units import parse_duration_ms


def _duration(text: str) -> str:
    try:
        parse_duration_ms(text)
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return text


# 10s, 5m, 7d. The text is stored as it was written.
Duration = Annotated[str, AfterValidator(_duration)]


def ms(duration: Duration) -> int:
    """A valid duration in milliseconds."""
    return parse_duration_ms(duration)


def zone_of(name: str) -> dt.tzinfo:
    """The time zone with this name. UTC also works on systems without a time zone database.

    Raises:
        KeyError, ValueError or OSError: there is no such time zone.
    """
    return dt.UTC if name == "UTC" else ZoneInfo(name)


def _zone(name: str) -> str:
    try:
        zone_of(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is not a time zone; use a name such as Asia/Seoul or UTC") from None
    return name


TimeZone = Annotated[str, AfterValidator(_zone), Field(max_length=64, examples=["Asia/Seoul"])]
