"""What a collector is made of: declared metrics, readings, and the host that it reads.

A collector declares its ``metrics`` and yields readings of them. It owns neither time stamps nor intervals nor time
limits: the scheduler does. It raises when it can read nothing at all; a part that cannot be read goes to
``Options.note`` and the rest goes on.
"""

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from bongsu.core.series import Kind

Labels = tuple[tuple[str, str], ...]
NAN = math.nan

# The last word of a name, before "_total", that is a unit. Any other last word is a plain count.
_UNITS = frozenset(
    ("bytes", "seconds", "ratio", "celsius", "bits", "hertz", "volts", "watts", "joules", "rpm"),
)


class Reading(NamedTuple):
    """One value of one declared metric. ``labels`` are sorted by name. NaN: the series exists but has no value this
    time."""

    metric: str
    value: float
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as its collector declares it."""

    name: str
    help: str
    kind: ClassVar[Kind]

    @property
    def unit(self) -> str:
        word = self.name.removesuffix("_total").rpartition("_")[2]
        return word if word in _UNITS else ""


class Gauge(Metric):
    """Goes up and down."""

    __slots__ = ()
    kind = Kind.GAUGE


class Counter(Metric):
    """Only rises; starts again at 0."""

    __slots__ = ()
    kind = Kind.COUNTER


class Ps(Protocol):
    """The part of psutil that the collectors use; tests hand in recordings of it. Attributes, since psutil is a
    module."""

    cpu_times: Callable[..., Any]
    cpu_stats: Callable[..., Any]
    cpu_count: Callable[..., int | None]
    virtual_memory: Callable[..., Any]
    swap_memory: Callable[..., Any]
    disk_partitions: Callable[..., Any]
    disk_io_counters: Callable[..., Any]
    net_io_counters: Callable[..., Any]
    net_if_stats: Callable[..., Any]
    boot_time: Callable[..., float]
    users: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Names to look at: those that match ``include`` (all, if empty) and not ``exclude``. Shell patterns, case
    matters."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    _include: "re.Pattern[str] | None" = field(init=False, repr=False, compare=False)
    _exclude: "re.Pattern[str] | None" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", _compiled(self.include))
        object.__setattr__(self, "_exclude", _compiled(self.exclude))

    def __call__(self, name: str) -> bool:
        if self._include is not None and self._include.match(name) is None:
            return False
        return self._exclude is None or self._exclude.match(name) is None


def _compiled(patterns: Sequence[str]) -> "re.Pattern[str] | None":
    return re.compile("|".join(map(fnmatch.translate, patterns))) if patterns else None


def _ignore(topic: str, problem: str) -> None:
    """What ``Options.note`` does where nobody listens."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a collector is given besides psutil. ``note(topic, problem)`` reports a part that could not be read; said
    once per topic."""

    filters: dict[str, Filter] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    proc: str = "/proc"
    sys: str = "/sys"
    note: Callable[[str, str], None] = _ignore

    def filter(self, name: str, default: Filter) -> Filter:
        """The configured patterns; each side that is not configured comes from ``default``."""
        configured = self.filters.get(name)
        if configured is None:
            return default
        return Filter(configured.include, configured.exclude or (() if configured.include else default.exclude))


class Collector(Protocol):
    """One family of readings.

    ``blocking``: may hang on something outside this machine's memory, see the scheduler. ``interval_seconds``: how
    often it is worth reading, 0 = at every tick. ``enabled``: whether it runs unless configured. ``processes``: what
    the last ``collect`` found, of one that lists them.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]

    def collect(self) -> Iterable[Reading]: ...


def read_bytes(path: str) -> bytes:
    """A small file of /proc or /sys, in one read.

    Raises:
        OSError: it is not there or not readable.
    """
    with open(path, "rb", buffering=0) as file:
        return file.read() or b""
