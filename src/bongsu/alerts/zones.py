"""Time zones by name. UTC is there also where the system has no table of time zones."""

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field


def zone_of(name: str) -> dt.tzinfo:
    """Raises KeyError, ValueError or OSError when there is no such zone."""
    return dt.UTC if name == "UTC" else ZoneInfo(name)


def _zone(name: str) -> str:
    try:
        zone_of(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone: use a name such as Asia/Seoul or UTC") from None
    return name


TimeZone = Annotated[str, AfterValidator(_zone), Field(max_length=64, examples=["Asia/Seoul"])]
