"""What a rule watches: the tracks of the series that it selects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bongsu.alerts.conditions import CLOCK_SKEW, Change, Condition, Forecast, NoData, SeriesCondition, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import SeriesKey
from bongsu.alerts.windows import Ring
from bongsu.arrays import Indices, Times, Values
from bongsu.core.series import Kind, Layout, Series

FORECAST_POINTS = 72
SMALLEST_RING = 8
SKEW_SERIES = Series(CLOCK_SKEW, (), "seconds")


class Track(NamedTuple):
    """Where the samples of a series are."""

    series: Series
    ring: Ring
    track: int


class Member(NamedTuple):
    """What a rule watches on one server under one key; ``of`` is None for the server as a whole."""

    key: SeriesKey
    of: Track | None = None
    operands: tuple[Track, ...] = ()


@dataclass(slots=True)
class Segment:
    """The tracks in one ring that a rule watches."""

    ring: Ring
    tracks: Indices


@dataclass(slots=True)
class OperandSegment:
    """The tracks of an operand in one ring, and the places of their keys. Several keys may share a track."""

    ring: Ring
    kind: Kind
    tracks: Indices
    places: Indices


@dataclass(slots=True)
class Watch:
    """What a rule watches at the moment. ``server_places``: the place of each key's server in ``Fleet.alive``.
    ``operands``: in the order of the condition's."""

    rule: Rule
    keys: list[SeriesKey] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    server_places: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    operands: list[list[OperandSegment]] = field(default_factory=list)
    # A forecast is fitted again only after a new sample: the newest time at the last fit, and its result.
    fitted: Times | None = None
    seconds_left: Values | None = None
    # Of a PromQL rule: when each key was last in the answer, and the present values in the order of the keys.
    answered_ms: dict[SeriesKey, int] = field(default_factory=dict)
    answer: Values = field(default_factory=lambda: np.zeros(0))


# Metric -> labels -> series, of one server.
SeriesByLabels = Mapping[str, Mapping[tuple[tuple[str, str], ...], Series]]


def by_labels(metrics: Iterable[str], layouts: Iterable[Layout]) -> SeriesByLabels:
    """The series of these metrics in the layouts of a server."""
    layouts = list(layouts)
    return {
        metric: {series.labels: series for layout in layouts for series in layout.by_metric.get(metric, ())}
        for metric in metrics
    }


def operands_of(
    condition: SeriesCondition, series: Series, candidates: SeriesByLabels
) -> list[tuple[Series, int]] | None:
    """The series that a condition reads besides ``series``, those with the same labels or else without labels, and over
    how many ms. None: the server does not have them all, so the condition cannot hold."""
    operands = []
    for operand in condition.operands if isinstance(condition, Threshold) else ():
        of_metric = candidates.get(operand.metric, {})
        found = of_metric.get(series.labels) or of_metric.get(())
        if found is None:
            return None
        operands.append((found, ms(operand.window)))
    return operands


def operand_metrics(condition: SeriesCondition) -> set[str]:
    """The metrics of the operands."""
    return {operand.metric for operand in condition.operands} if isinstance(condition, Threshold) else set()


def samples_needed(condition: Condition, interval_ms: int) -> tuple[int, int]:
    """Slots and spacing in ms of the ring that a condition needs for a server with this interval."""
    if isinstance(condition, Forecast):
        return FORECAST_POINTS, max(ms(condition.history) // FORECAST_POINTS, interval_ms)
    if isinstance(condition, NoData):
        # Far enough back to know after a restart that there has been a sample.
        return SMALLEST_RING, max(ms(condition.after) // 4, interval_ms)
    if isinstance(condition, Threshold):
        length = ms(condition.window)
    elif isinstance(condition, Change):
        length = ms(condition.window) + ms(condition.over)
    else:
        length = 0
    return window_samples(length, interval_ms)


def window_samples(length_ms: int, interval_ms: int) -> tuple[int, int]:
    """Slots and spacing of the ring that a window needs."""
    # Room for the sample before the window, from which increase counts, and for one that arrives early.
    samples = length_ms // interval_ms + 3
    # Powers of two, so that there are few rings.
    return max(SMALLEST_RING, 1 << (samples - 1).bit_length()), 0


def watch_of(rule: Rule, members_by_server: Mapping[int, Sequence[Member]], places: Mapping[int, int]) -> Watch:
    """The watch of a rule. ``places``: server id -> its place in ``Fleet.alive``."""
    watch = Watch(rule)
    by_ring: dict[Ring | None, list[Member]] = {}
    for members in members_by_server.values():
        for member in members:
            by_ring.setdefault(member.of.ring if member.of else None, []).append(member)
    ordered: list[Member] = []
    for ring, ring_members in by_ring.items():
        # In the order of tracks, so that a rule that covers all servers is a slice of the ring.
        ring_members.sort(key=lambda member: member.of.track if member.of else -1)
        ordered += ring_members
        if ring is not None:
            tracks = [member.of.track for member in ring_members if member.of]
            watch.segments.append(Segment(ring, np.array(tracks, np.intp)))
    watch.keys = [member.key for member in ordered]
    watch.server_places = np.array([places[key.server_id] for key in watch.keys], np.intp)
    if isinstance(rule.condition, Threshold):
        watch.operands = [_operand_segments(ordered, index) for index in range(len(rule.condition.operands))]
    return watch


def _operand_segments(members: Sequence[Member], index: int) -> list[OperandSegment]:
    tracks: dict[tuple[Ring, Kind], list[tuple[int, int]]] = {}
    for place, member in enumerate(members):
        operand = member.operands[index]
        tracks.setdefault((operand.ring, operand.series.kind), []).append((operand.track, place))
    return [OperandSegment(ring, kind, *np.array(sorted(pairs), np.intp).T) for (ring, kind), pairs in tracks.items()]
