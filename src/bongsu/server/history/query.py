"""Queries and answers."""

from dataclasses import dataclass, field
from enum import StrEnum

from bongsu.core.series import Kind, Layout, Series
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.fleet.registry import ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.history.aggregation import Aggregation, Points
from bongsu.server.storage.archive import RAW


class Resolution(StrEnum):
    """What the points of an answer are made from."""

    RAW = "raw"
    MINUTE = "1m"
    HOUR = "1h"

    @property
    def tier(self) -> int:
        """The tier in the archive: the length of a bucket in ms, 0 for raw."""
        return {Resolution.RAW: RAW, Resolution.MINUTE: MINUTE_MS, Resolution.HOUR: HOUR_MS}[self]

    @classmethod
    def of(cls, tier: int) -> "Resolution":
        """The reverse of ``tier``."""
        return next(resolution for resolution in cls if resolution.tier == tier)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: after this series, with the step and tier of the earlier pages."""

    server_id: int
    series: str
    step_ms: int | None
    tier: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """Series of one metric that agree in all of ``by`` become one series: at each time, ``across`` of their points.

    ``by``: ``server``, ``tag:NAME`` or ``label:NAME``; empty: all series of a metric.
    """

    across: Aggregation
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The selected series in ``[start_ms, end_ms)``, with at most ``max_points`` points each."""

    selection: Selection
    start_ms: int
    end_ms: int
    max_points: int
    step_ms: int | None = None
    aggregation: Aggregation | None = None
    limit: int = 500
    cursor: Cursor | None = None
    resolution: Resolution | None = None
    grouping: Grouping | None = None

    def aggregation_of(self, series: Series) -> Aggregation:
        """The aggregation of this series: the requested one, else rate for counters, sum for deltas, avg for gauges."""
        return self.aggregation or _USUAL[series.kind]


_USUAL = {Kind.COUNTER: Aggregation.RATE, Kind.DELTA: Aggregation.SUM, Kind.GAUGE: Aggregation.AVG}


@dataclass(frozen=True, slots=True)
class SelectedSeries:
    """One series of one server, with (layout, position) for each layout that holds it."""

    server: ServerState
    series: Series
    places: tuple[tuple[Layout, int], ...]

    @property
    def server_id(self) -> int:
        return self.server.record.id

    @property
    def counter(self) -> bool:
        return self.series.kind is Kind.COUNTER

    @property
    def interval_ms(self) -> int:
        """How often it is sampled: by its newest layout."""
        newest = self.server.newest
        layout = self.places[0][0]
        for other, _ in self.places[1:]:
            if other.id in newest and (
                layout.id not in newest or newest[other.id].frame.time_ms > newest[layout.id].frame.time_ms
            ):
                layout = other
        return self.server.interval_of(layout.id)


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """The points of one series, or of a group of ``members`` series (then ``server_id`` is None)."""

    server_id: int | None
    series: Series
    aggregation: Aggregation
    points: Points
    members: int = 1


@dataclass(frozen=True, slots=True)
class Missing:
    """Stored data that cannot be read. ``series`` None: all series of this time."""

    server_id: int
    start_ms: int
    end_ms: int
    series: str | None = None


@dataclass(slots=True)
class History:
    """The answer. ``step_ms`` None: samples as they are stored. ``tag``: equal for equal answers."""

    resolution: Resolution
    step_ms: int | None
    series: list[SeriesHistory] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    next: Cursor | None = None
    tag: str | None = None
