"""Durations in rules, as people write them; the text is kept as it was written."""

from typing import Annotated

from pydantic import AfterValidator

from bongsu.core.errors import InvalidInput
from bongsu.core.units import parse_duration_ms


def _duration(text: str) -> str:
    try:
        parse_duration_ms(text)
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return text


Duration = Annotated[str, AfterValidator(_duration)]


def ms(duration: Duration) -> int:
    """Milliseconds of a duration that was checked before."""
    return parse_duration_ms(duration)
