"""Series and layouts."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

try:
    # hashlib loads OpenSSL's libcrypto, 3.4 MB, which an agent over plain HTTP does not need.
    from _blake2 import blake2b
except ImportError:  # a Python built without it; the digest is the same
    from hashlib import blake2b


class Kind(StrEnum):
    """How the values of a series behave."""

    GAUGE = "gauge"
    COUNTER = "counter"
    # What was counted since the sample before; their sum is what a counter would have grown by.
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with its labels on one server.

    ``labels`` are (name, value) pairs sorted by name; ``unit`` is a base unit (``bytes``, ``seconds``, ``ratio``) or
    empty for a count.
    """

    metric: str
    labels: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    kind: Kind = Kind.GAUGE

    def __str__(self) -> str:
        if not self.labels:
            return self.metric
        return self.metric + "{" + ",".join(f'{name}="{value}"' for name, value in self.labels) + "}"


# Stands in a layout for a series beyond the limit of its server: its values are stored, but nothing can select them.
UNNAMED = Series("")
# Stands in a layout of foreign series for one that has yet to come; all frames have no value there.
RESERVED = Series("", unit="reserved")


@dataclass(frozen=True)
class Layout:
    """The ordered list of series one agent sends."""

    id: int
    series: tuple[Series, ...]

    def __hash__(self) -> int:
        # The id stands for the content; the hash of all series would take 50 us, and caches ask for it often.
        return self.id

    @cached_property
    def named(self) -> tuple[int, ...]:
        """The positions of the series that have a name: all, unless the server has too many series, or the layout has
        room for more foreign series."""
        return tuple(index for index, series in enumerate(self.series) if series.metric)

    @cached_property
    def unnamed(self) -> int:
        """How many series have no name because the server has too many."""
        return 0 if len(self.named) == len(self.series) else sum(series == UNNAMED for series in self.series)

    @cached_property
    def position(self) -> dict[Series, int]:
        """Series -> position of its value in a frame."""
        return {series: index for index, series in enumerate(self.series)}

    def agrees_with(self, other: "Layout") -> bool:
        """Whether both have the same series, apart from those that one of them does not name."""
        return len(self.series) == len(other.series) and all(
            mine == theirs or not mine.metric or not theirs.metric
            for mine, theirs in zip(self.series, other.series, strict=True)
        )

    @cached_property
    def by_metric(self) -> dict[str, list[Series]]:
        """Metric -> its series."""
        by_metric: dict[str, list[Series]] = {}
        for series in self.series:
            by_metric.setdefault(series.metric, []).append(series)
        return by_metric

    @classmethod
    def of(cls, series: tuple[Series, ...]) -> "Layout":
        """The layout of these series; its id is the hash of its content."""
        return cls(layout_id(series), series)


def layout_id(series: tuple[Series, ...]) -> int:
    """A hash of the content, 1 .. 2^63 - 1: fits a signed 64-bit column. BLAKE2b over length-prefixed fields."""
    digest = blake2b(digest_size=8)
    for entry in series:
        fields = [entry.metric, entry.unit, entry.kind.value]
        for name, value in entry.labels:
            fields += [name, value]
        for text in (str(len(fields)), *fields):
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(4, "little") + encoded)
    return (int.from_bytes(digest.digest(), "little") >> 1) or 1


def series_number(metric: str, labels: tuple[tuple[str, str], ...]) -> int:
    """Identifies a foreign series of one server: a hash of its metric and labels, whatever unit and kind it has.

    Two of a million series have the same number with a probability of 1 to 20 million.
    """
    return layout_id((Series(metric, labels),))


# The first word of a metric name -> the family under which people look for it. Any other first word is its own family.
_FAMILIES = {
    "cpu": "cpu",
    "load": "cpu",
    "context": "cpu",
    "interrupts": "cpu",
    "memory": "memory",
    "swap": "memory",
    "disk": "disk",
    "filesystem": "disk",
    "network": "network",
}


def family_of(metric: str) -> str:
    """The family of a metric (cpu, memory, disk, network, ...), called ``type`` in the API."""
    word = metric.partition("_")[0]
    return _FAMILIES.get(word, word)
