"""Parses lines of Prometheus' text format 0.0.4 and of OpenMetrics 1.0.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/. Both are taken as one: a line that is valid in either is valid.
Exemplars, help texts and units are skipped. Names in quotes (UTF-8 names of Prometheus 3) are not understood; exporters
send them only to those that ask for them.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bongsu.core.errors import BongsuError
from bongsu.core.series import Kind

# Longer lines than this are no metrics.
MAX_LINE_BYTES = 65_536
# Families of one target. Beyond it, types are learned anew.
MAX_FAMILIES = 20_000

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
# Possessive quantifiers (*+): a line that does not match is told in linear time.
_SAMPLE = re.compile(
    rf'[ \t]*+({_NAME})(?:[ \t]*+(\{{)((?:[^"}}]|"(?:[^"\\]|\\.)*+")*+)\}}[ \t]*+|[ \t]++)'
    r"([^ \t]++)(?:[ \t]++(?!#)([^ \t]++))?+[ \t]*+((?<=[ \t])#.*+)?"
)
_LABEL = re.compile(r'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+(?:,|$)')
_TYPE = re.compile(rf"#[ \t]+TYPE[ \t]+({_NAME})[ \t]+(\w+)[ \t]*")
_ESCAPE = re.compile(r'\\([\\"n])')
_TYPES = frozenset(
    ("counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram")
)
# What samples of a family have in their names after its own -> types of families whose such samples only rise.
_RISING: dict[str, frozenset[str]] = {
    "_bucket": frozenset(("histogram",)),
    "_count": frozenset(("histogram", "summary")),
    "_sum": frozenset(("histogram", "summary")),
}


class ParseError(BongsuError):
    """The text is not in Prometheus' text format."""

    code = "malformed_page"


class SampleLine(NamedTuple):
    """A line with a sample. ``head``: what is before its value and the space there; a line with the same head is of the
    same series. ``labels``: in the order of the line, without escapes. ``time``: empty if the line has none."""

    head: str
    metric: str
    labels: Sequence[tuple[str, str]]
    value: float
    time: str


def parse_sample(line: str) -> SampleLine:
    """Parses a line that is no comment.

    Raises:
        ParseError: it is not a sample.
    """
    match = _SAMPLE.fullmatch(line.rstrip("\r"))
    if match is None:
        raise ParseError(f'{shortened(line)} is not a sample: expected name{{label="..."}} value.')
    metric, brace, label_text, value_text, time = match[1], match[2], match[3], match[4], match[5] or ""
    labels = _labels(label_text, line) if brace and label_text.strip() else []
    value = number(value_text, line)
    if time:
        number(time, line)
    start = match.start(4)
    head = line[: start - 1] if line[start - 1] == " " else line[:start]
    return SampleLine(head, metric, labels, value, time)


def number(text: str, line: str) -> float:
    """A value or time stamp. Raises ParseError."""
    try:
        return float(text)
    except ValueError:
        raise ParseError(f"{shortened(line)}: {shortened(text)} is not a number.") from None


def _labels(text: str, line: str) -> list[tuple[str, str]]:
    labels: list[tuple[str, str]] = []
    seen: set[str] = set()
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            if labels and not text[position:].strip(" \t"):
                break  # a space after the last comma
            raise ParseError(f'{shortened(line)}: its labels are not like {{name="value",...}}.')
        name, value = match[1], match[2]
        if name in seen or name == "__name__":
            raise ParseError(f"{shortened(line)}: the label {name} is there twice.")
        seen.add(name)
        labels.append((name, _ESCAPE.sub(_unescaped, value) if "\\" in value else value))
        position = match.end()
    return labels


def _unescaped(match: "re.Match[str]") -> str:
    return "\n" if match[1] == "n" else match[1]


def shortened(text: str) -> str:
    """A part of a page, for an error."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


class Families:
    """The types of families, as the comments of pages tell them. They are remembered from one page to the next."""

    def __init__(self) -> None:
        self._types: dict[str, str] = {}
        # Lines that tell types, and need no second look.
        self.seen: set[str] = set()

    def comment(self, line: str) -> None:
        """Takes note of a line that begins with ``#``. Raises ParseError."""
        match = _TYPE.fullmatch(line.rstrip("\r"))
        if match is None:
            return
        if match[2] not in _TYPES:
            raise ParseError(f"{shortened(line)}: there is no type {match[2]}.")
        if len(self.seen) >= MAX_FAMILIES:
            self.seen.clear()
            self._types.clear()
        self._types[match[1]] = match[2]
        self.seen.add(line)

    def kind_of(self, metric: str) -> Kind:
        """The kind of the samples of this name. Without a type, the ending ``_total`` makes a counter."""
        kind = self._types.get(metric)
        if kind == "counter":
            return Kind.COUNTER
        if kind in (None, "untyped", "unknown") and metric.endswith("_total"):
            # In OpenMetrics, the type of a counter is that of its name without _total.
            return Kind.COUNTER
        if kind in (None, "untyped", "unknown"):
            for suffix, types in _RISING.items():
                if metric.endswith(suffix):
                    return Kind.COUNTER if self._types.get(metric.removesuffix(suffix)) in types else Kind.GAUGE
        return Kind.GAUGE
