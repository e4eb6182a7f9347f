"""Parses durations and sizes as people write them (``10s``, ``7d``, ``512MB``), and formats them for people."""

import math
import re
from collections.abc import Callable, Mapping

from bongsu.core.errors import InvalidInput

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_METRIC_UNITS = frozenset(("bytes", "seconds", "ratio", "celsius", "bits", "hertz", "volts", "watts", "joules", "rpm"))

# Every integer up to this is exact as a double, also in JavaScript.
MAX_VALUE = 2**53

_DURATION_MS = {
    "ms": 1,
    "s": 1_000,
    "m": MINUTE_MS,
    "h": HOUR_MS,
    "d": DAY_MS,
    "w": 7 * DAY_MS,
    "y": 365 * DAY_MS,
}
_SIZE_BYTES = {
    "": 1,
    "b": 1,
    **{unit + suffix: 1024**power for power, unit in enumerate("kmgt", start=1) for suffix in ("", "b", "ib")},
}
_NUMBER_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def _parse(text: str, units: dict[str, int], what: str, example: str, field: str | None) -> int:
    match = _NUMBER_UNIT.fullmatch(text)
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise InvalidInput(f"{text!r} is not {what}: write it like {example}.", field=field)
    value = float(match[1]) * factor
    if value > MAX_VALUE:
        raise InvalidInput(f"{text[:40]!r} is too large.", field=field, limit=MAX_VALUE)
    return round(value)


def parse_duration_ms(text: str, *, field: str | None = None) -> int:
    """Milliseconds of ``500ms``, ``10s``, ``5m``, ``6h``, ``7d``, ``2w`` or ``1y`` (365 days).

    Raises:
        InvalidInput: not a number with one of these units.
    """
    if text.strip().replace(".", "", 1).isdigit():
        raise InvalidInput(f"{text!r} has no unit: write it like 10s, 5m, 6h or 7d.", field=field)
    return _parse(text, _DURATION_MS, "a duration", "10s, 5m, 6h or 7d", field)


def parse_size_bytes(text: str, *, field: str | None = None) -> int:
    """Bytes of ``1024``, ``512MB`` or ``2GiB``; units are powers of 1024.

    Raises:
        InvalidInput: not a number with one of these units.
    """
    return _parse(text, _SIZE_BYTES, "a size", "512MB or 2GB", field)


def unit_of_metric(metric: str) -> str:
    """The unit in a metric's name: its last word, before ``_total``. Any other last word makes it a plain count."""
    word = metric.removesuffix("_total").rpartition("_")[2]
    return word if word in _METRIC_UNITS else ""


def format_bytes(value: float) -> str:
    """``1536`` -> ``1.50 KiB``: binary units, at most four digits."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1000 or unit == "TiB":
            break
        value /= 1024
    if unit == "B":
        return f"{value:.0f} B"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}"


def format_duration(seconds: float) -> str:
    """``93784`` -> ``1d 2h``: the two largest units."""
    rest = round(seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


# Shown as 3d 4h instead of 273600 s.
_LONG_DURATIONS = ("system_uptime_seconds", "battery_left_seconds", "agent_queue_age_seconds")


def format_value(metric: str, unit: str, value: float) -> str:
    """A value as top, free, df and ip show it: percent, KiB. ``-`` for NaN."""
    if math.isnan(value):
        return "-"
    if not math.isfinite(value):
        return str(value)
    if metric in _LONG_DURATIONS:
        return format_duration(value)
    format_of_unit = _FORMATTERS.get(unit)
    if format_of_unit is not None and metric != "system_entropy_bits":  # these bits are no bit rate
        return format_of_unit(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def format_rate(unit: str, rate: float) -> str:
    """The growth of a counter per second. Seconds per second are a share of the time, so they are shown in percent."""
    if math.isnan(rate):
        return "-"
    if unit == "seconds":
        return f"{rate * 100:.1f} %"
    if unit == "bytes":
        return f"{format_bytes(rate)}/s"
    return f"{rate:,.1f}/s"


def _seconds(value: float) -> str:
    if value and abs(value) < 1:
        return f"{value * 1000:.2f} ms"
    return f"{value:,.1f} s"


def _bits(value: float) -> str:
    return f"{value / 1e9:g} Gbit/s" if value >= 1e9 else f"{value / 1e6:g} Mbit/s"


def _hertz(value: float) -> str:
    return f"{value / 1e9:.2f} GHz" if value >= 1e9 else f"{value / 1e6:.0f} MHz"


_FORMATTERS: Mapping[str, Callable[[float], str]] = {
    "bytes": format_bytes,
    "ratio": lambda value: f"{value * 100:.1f} %",
    "celsius": lambda value: f"{value:.1f} °C",
    "seconds": _seconds,
    "bits": _bits,
    "joules": lambda value: f"{value:,.0f} J",
    "hertz": _hertz,
    "volts": lambda value: f"{value:.2f} V",
    "watts": lambda value: f"{value:.1f} W",
    "rpm": lambda value: f"{value:.0f} rpm",
}
