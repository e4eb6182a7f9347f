"""The parts of a collector: the metrics it declares, the readings it yields, and what it is given.

A collector declares ``metrics`` and yields readings of them. It owns no time stamps, intervals or timeouts: the
scheduler does. It raises an exception if it can read nothing at all. If it can read only a part, it calls
``Options.report_problem`` for the rest and goes on.
"""

import fnmatch
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from bongsu.agent.stats import Stats
from bongsu.core.samples import ContainerList, Process
from bongsu.core.series import Kind
from bongsu.core.units import unit_of_metric

Labels = tuple[tuple[str, str], ...]
# metric name and labels
SeriesKey = tuple[str, Labels]
# Called with (topic, problem). The log shows a problem once per topic until it is resolved.
ProblemReporter = Callable[[str, str], None]
NAN = math.nan


class Reading(NamedTuple):
    """One value of a declared metric. ``labels`` are sorted by name. ``value`` is NaN if the series exists but has no
    value this time."""

    metric: str
    value: float
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as its collector declares it. Use ``Gauge`` or ``Counter``."""

    name: str
    help: str
    kind: ClassVar[Kind]

    @property
    def unit(self) -> str:
        return unit_of_metric(self.name)


class Gauge(Metric):
    """Goes up and down."""

    __slots__ = ()
    kind = Kind.GAUGE


class Counter(Metric):
    """Only rises, and starts again at 0."""

    __slots__ = ()
    kind = Kind.COUNTER


class Ps(Protocol):
    """The part of psutil that the collectors use, so that tests can pass a fake. These are attributes, not methods,
    because psutil is a module."""

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
    """Selects names that match ``include`` (all, if it is empty) and do not match ``exclude``. Patterns are those of a
    shell and are case-sensitive."""

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


def words(text: str) -> tuple[str, ...]:
    """Splits a list of words that would take a line for each one if it were written as a tuple."""
    return tuple(text.split())


def _ignore(topic: str, problem: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Options:
    """What a collector is given besides psutil. ``may_listen`` is False in a command that runs beside the agent, which
    already holds the ports. ``root``: where the host's root is mounted, if the agent runs in a container; else empty.
    ``stats``, ``tags`` and ``version`` are the agent's own."""

    filters: dict[str, Filter] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    proc: str = "/proc"
    sys: str = "/sys"
    root: str = ""
    report_problem: ProblemReporter = _ignore
    may_listen: bool = True
    stats: Stats = field(default_factory=Stats)
    tags: dict[str, str] = field(default_factory=dict)
    version: str = ""

    def filter(self, name: str, default: Filter) -> Filter:
        """The configured filter, which replaces ``default`` unless it is empty."""
        configured = self.filters.get(name)
        return configured if configured is not None and (configured.include or configured.exclude) else default


class Collector(ABC):
    """Base class of all collectors. A subclass sets ``name`` and overrides ``collect``; everything else has a default.

    To add a collector, write one file here and add one line to ``collectors/__init__.py``.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]] = ()
    # How often it is worth reading, in seconds; 0 reads it at every tick. The configuration can change it.
    interval_seconds: ClassVar[int] = 0
    # Whether it runs unless the configuration says otherwise.
    enabled: ClassVar[bool] = True
    # True gives its series a layout of their own, so that series that come and go do not change the main layout.
    own_layout: ClassVar[bool] = False
    # What the configuration accepts for this collector besides ``enabled`` and ``interval``: names of filters, settings
    # with their parsers, and settings that map names to texts.
    filters: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    mappings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        self._ps = ps
        self._options = options or Options()
        # Metrics that are known only at run time, by name, in addition to ``metrics``.
        self.discovered: dict[str, Metric] = {}
        # Processes listed by the latest ``collect``. They are sent as a list, not as series.
        self.processes: list[Process] = []
        # The same of containers, if the latest ``collect`` listed them. The scheduler sets the time.
        self.containers: ContainerList | None = None
        # What ``bongsu agent check`` says besides the number of readings.
        self.note = ""

    @abstractmethod
    def collect(self) -> Iterable[Reading]:
        """Reads everything once. May block; the scheduler stops waiting after a timeout."""

    def close(self) -> None:  # noqa: B027
        """Releases sockets and child processes. Called once, when the agent stops."""
