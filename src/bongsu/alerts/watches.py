"""What a rule watches: the tracks of the series that it selects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bongsu.alerts.conditions import CLOCK_SKEW, Change, Forecast, NoData, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import SeriesKey
from bongsu.alerts.windows import Ring
from bongsu.arrays import Indices, Times, Values
from bongsu.core.series import Series

FORECAST_POINTS = 72
SMALLEST_RING = 8
SKEW_SERIES = Series(CLOCK_SKEW, (), "seconds")

# A series on one server that a rule watches: its key, the series (None: the server as a whole), its ring and track.
Member = tuple[SeriesKey, Series | None, Ring | None, int]


@dataclass(slots=True)
class Segment:
    """The tracks in one ring that a rule watches."""

    ring: Ring
    tracks: Indices


@dataclass(slots=True)
class Watch:
    """What a rule watches at the moment. ``server_places``: the place of each key's server in ``Fleet.alive``."""

    rule: Rule
    keys: list[SeriesKey] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    server_places: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    # A forecast is fitted again only after a new sample: the newest time at the last fit, and its result.
    fitted: Times | None = None
    seconds_left: Values | None = None


def samples_needed(rule: Rule, interval_ms: int) -> tuple[int, int]:
    """Slots and spacing in ms of the ring that a rule needs for a server with this interval."""
    condition = rule.condition
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
    # Room for the sample before the window, from which increase counts, and for one that arrives early.
    samples = length // interval_ms + 3
    # Powers of two, so that there are few rings.
    return max(SMALLEST_RING, 1 << (samples - 1).bit_length()), 0


def watch_of(rule: Rule, members_by_server: Mapping[int, Sequence[Member]], places: Mapping[int, int]) -> Watch:
    """The watch of a rule. ``places``: server id -> its place in ``Fleet.alive``."""
    watch = Watch(rule)
    by_ring: dict[Ring | None, list[Member]] = {}
    for members in members_by_server.values():
        for member in members:
            by_ring.setdefault(member[2], []).append(member)
    for ring, ring_members in by_ring.items():
        # In the order of tracks, so that a rule that covers all servers is a slice of the ring.
        ring_members.sort(key=lambda member: member[3])
        watch.keys += [member[0] for member in ring_members]
        if ring is not None:
            watch.segments.append(Segment(ring, np.array([member[3] for member in ring_members], np.intp)))
    watch.server_places = np.array([places[key.server_id] for key in watch.keys], np.intp)
    return watch
