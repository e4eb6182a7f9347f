"""What parsers of lines have in common: numbers, and the encoded labels of series."""

from collections.abc import Mapping

from bongsu.core.errors import InvalidInput
from bongsu.wire.remote_write import encode_labels

# Encoded labels are kept for this many series, about 300 bytes each.
CACHED_SERIES = 100_000
# Times beyond are no times of samples: before 1677 or after 2262, as nanoseconds of InfluxDB reach.
MAX_TIME_MS = 9_223_372_036_854


class BadLine(InvalidInput):
    """This line is not a sample."""


def number(text: str) -> float:
    """A value as the formats write it; ``NaN`` and ``+Inf`` are values. Raises BadLine."""
    try:
        if "_" in text:  # Python's own way to write 1000
            raise ValueError
        return float(text)
    except ValueError:
        raise BadLine(f"{text[:40]!r} is no number") from None


def checked_time(time_ms: int) -> int:
    """Raises BadLine if the time is impossible."""
    if not -MAX_TIME_MS <= time_ms <= MAX_TIME_MS:
        raise BadLine("its time stamp is impossible")
    return time_ms


def series_key(labels: Mapping[str, str]) -> bytes:
    """The encoded labels of a series, sorted by name as remote write demands."""
    return encode_labels([(name, labels[name]) for name in sorted(labels) if labels[name]])
