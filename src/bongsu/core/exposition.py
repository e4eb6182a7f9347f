"""Writes metrics as text that Prometheus and others scrape.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4) and
https://prometheus.io/docs/specs/om/open_metrics_spec/ (OpenMetrics 1.0).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Type(StrEnum):
    """What the samples of a family are."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Point:
    """One value. ``time_ms``: None: now; ``suffix``: what its name has more than that of its family: ``_bucket``."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    time_ms: int | None = None
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """The values of one metric. The name of a counter ends with ``_total``."""

    name: str
    type: Type
    points: Sequence[Point]
    help: str = ""


def gauge(name: str, text: str, value: float, **labels: str) -> Family:
    """A gauge with one value."""
    return Family(name, Type.GAUGE, [Point(value, labels)], text)


def counter(name: str, text: str, value: float) -> Family:
    """A counter with one value."""
    return Family(name, Type.COUNTER, [Point(value)], text)


def by_label(name: str, kind: Type, text: str, label: str, values: Mapping[str, float]) -> Family:
    """A family with one value for each value of a label."""
    return Family(name, kind, [Point(value, {label: key}) for key, value in sorted(values.items())], text)


class Durations:
    """Counts how long something took, in buckets of seconds."""

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

    def __init__(self) -> None:
        self._counts = [0] * (len(self.BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Counts one."""
        self._sum += seconds
        place = next((index for index, bound in enumerate(self.BOUNDS) if seconds <= bound), len(self.BOUNDS))
        self._counts[place] += 1

    def family(self, name: str, text: str) -> Family:
        """All of them as a histogram."""
        points, below = [], 0
        for bound, count in zip((*self.BOUNDS, float("inf")), self._counts, strict=True):
            below += count
            points.append(Point(below, {"le": number(bound)}, suffix="_bucket"))
        points += [Point(self._sum, suffix="_sum"), Point(below, suffix="_count")]
        return Family(name, Type.HISTOGRAM, points, text)


def wants_open_metrics(accept: str) -> bool:
    """Whether a scraper that sends this Accept header understands OpenMetrics."""
    return "application/openmetrics-text" in accept


def number(value: float) -> str:
    """A number as both formats write it."""
    if value == float("inf"):
        return "+Inf"
    if value == float("-inf"):
        return "-Inf"
    return "NaN" if value != value else str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def lines(families: Iterable[Family], *, open_metrics: bool) -> Iterator[str]:
    """The text, line by line."""
    for family in families:
        name, kind = family.name, family.type
        is_total = name.endswith("_total")
        if kind is Type.COUNTER and not is_total:
            kind = Type.UNKNOWN  # neither format has a word for such a counter that all scrapers take
        total = ""
        if open_metrics and kind is Type.COUNTER:
            name, total = name.removesuffix("_total"), "_total"
        if family.help:
            yield f"# HELP {name} {family.help.translate(_HELP_ESCAPES)}\n"
        yield f"# TYPE {name} {'untyped' if kind is Type.UNKNOWN and not open_metrics else kind}\n"
        for point in family.points:
            labels = ",".join(f'{label}="{text.translate(_LABEL_ESCAPES)}"' for label, text in point.labels.items())
            time = ""
            if point.time_ms is not None:
                time = f" {point.time_ms / 1000:.3f}" if open_metrics else f" {point.time_ms}"
            shown = f"{{{labels}}}" if labels else ""
            yield f"{name}{total}{point.suffix}{shown} {number(float(point.value))}{time}\n"
    if open_metrics:
        yield "# EOF\n"
