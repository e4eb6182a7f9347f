"""Samples in OpenMetrics and in Prometheus' text format, one a line.

``name{label="text"} value time``, or ``{__name__="name",label="text"} value time`` as ``promtool tsdb dump`` writes it.
OpenMetrics tells times in seconds, the others in milliseconds: a whole number from 1e11 on is milliseconds (since
1973), everything else seconds (until 5138).
"""

import math
import re
from collections.abc import Iterator

from bongsu.importer.parsing import CACHED_SERIES, BadLine, checked_time, number, series_key
from bongsu.importer.source import Sample

MILLISECONDS_FROM = 1e11
_NAME = re.compile(r"[^\s{}\",=#]+")
_LABEL_NAME = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s{}",=]+))\s*')
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


def time_ms(text: str) -> int:
    """A time stamp in milliseconds. Raises BadLine."""
    value = number(text)
    if not math.isfinite(value):
        raise BadLine(f"{text[:40]!r} is no time stamp")
    if abs(value) >= MILLISECONDS_FROM:
        return checked_time(round(value))
    return checked_time(round(value * 1000))


class OpenMetricsParser:
    """Parses line by line; lines do not depend on each other. ``left_out``: always 0."""

    left_out = 0

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}

    def samples(self, line: bytes) -> Iterator[Sample]:
        """The sample of a line, if it has one. Raises BadLine."""
        # Usually the series is known. What is before the last two words is in the cache only if it is a whole series.
        words = line.rsplit(b" ", 2)
        key = self._keys.get(words[0]) if len(words) == 3 else None
        if key is not None:
            yield key, time_ms(words[2].decode("ascii", "replace")), number(words[1].decode("ascii", "replace"))
            return
        line = line.strip()
        if not line or line.startswith(b"#"):
            return
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise BadLine("it is not UTF-8") from None
        labels, end = _series(text)
        rest = text[end:].partition("#")[0].split()  # an exemplar comes after the #
        if len(rest) == 1:
            raise BadLine("it has no time stamp")
        if len(rest) != 2:
            raise BadLine("a value and a time stamp must follow the series")
        sample = series_key(labels), time_ms(rest[1]), number(rest[0])
        if len(self._keys) >= CACHED_SERIES:
            self._keys.clear()
        self._keys[text[:end].rstrip().encode()] = sample[0]
        yield sample


def _series(text: str) -> tuple[dict[str, str], int]:
    """The labels at the beginning of a line, ``__name__`` among them, and where they end. Raises BadLine."""
    labels: dict[str, str] = {}
    name = _NAME.match(text)
    at = 0
    if name is not None:
        labels["__name__"] = name[0]
        at = name.end()
    while at < len(text) and text[at] in " \t":
        at += 1
    if at < len(text) and text[at] == "{":
        at = _labels(text, at + 1, labels)
    if "__name__" not in labels:
        raise BadLine("it has no name of a metric")
    return labels, at


def _labels(text: str, at: int, labels: dict[str, str]) -> int:
    """Adds the labels up to the closing brace, and returns the place after it."""
    while True:
        if (at := _spaces(text, at)) < len(text) and text[at] == "}":
            return at + 1
        found = _LABEL_NAME.match(text, at)
        if found is None:
            raise BadLine("its labels are malformed")
        at = found.end()
        if text[at : at + 1] == "=":
            name = found[2] if found[1] is None else _unescaped(found[1])
            value = _VALUE.match(text, _spaces(text, at + 1))
            if value is None:
                raise BadLine("a label has no text in quotes")
            content, at = _unescaped(value[1]), value.end()
        elif found[1] is not None:  # {"name of the metric", ...}, of Prometheus 3
            name, content = "__name__", _unescaped(found[1])
        else:
            raise BadLine("a label has no value")
        if name in labels:
            raise BadLine(f"it has the label {name[:40]!r} twice")
        labels[name] = content
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "}":
            raise BadLine("its labels are malformed")


def _spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), text)
