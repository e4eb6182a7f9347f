"""The servers of a worker's shards, and the newest samples of the series that rules watch.

For each layout of a server, a plan says which values of a frame go to which tracks. Frames of one layout are added
together: 1,000 frames of 150 values, of which 20 are watched, take some 10 ms.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bongsu.alerts.conditions import CLOCK_SKEW, Change, Forecast, ServerDown, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import SeriesKey
from bongsu.alerts.windows import Ring
from bongsu.arrays import Indices, Times, Values
from bongsu.core.liveness import DEFAULT_INTERVAL_MS
from bongsu.core.samples import Frame
from bongsu.core.series import Layout, Series

# A frame may be this old, plus three intervals: the time from reading a sample to storing it.
SLACK_MS = 5_000
FORECAST_POINTS = 72
SMALLEST_RING = 8
SKEW_SERIES = Series(CLOCK_SKEW, (), "seconds")


@dataclass(slots=True)
class WatchedServer:
    """A server as rules see it. ``alive_ms``: when a frame last arrived."""

    id: int
    name: str
    tags: dict[str, str]
    interval_ms: int
    newest_ms: int
    alive_ms: int

    @property
    def step_ms(self) -> int:
        """The interval in which frames are expected."""
        return self.interval_ms or DEFAULT_INTERVAL_MS


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
    series: list[Series | None] = field(default_factory=list)
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


class Fleet:
    """The servers of one worker's shards, with rings and watches."""

    def __init__(self) -> None:
        self.servers: dict[int, WatchedServer] = {}
        self.layouts: dict[int, dict[int, Layout]] = {}
        self.watches: dict[int, Watch] = {}
        self._rings: dict[tuple[int, int], Ring] = {}
        self._tracks: dict[tuple[Ring, int, Series], int] = {}
        # (server id, layout id) -> for each ring: positions in a frame, and the tracks that they go to.
        self._plans: dict[tuple[int, int], list[tuple[Ring, Indices, Indices]]] = {}
        self._unfilled: dict[int, set[Series]] = defaultdict(set)
        self._places: dict[int, int] = {}
        self.alive: Times = np.zeros(0, np.int64)
        self.steps: Times = np.zeros(0, np.int64)

    def set_servers(self, servers: Iterable[WatchedServer], layouts: dict[int, list[Layout]]) -> None:
        """Replaces servers and layouts. Servers that remain keep their samples."""
        new_servers = {server.id: server for server in servers}
        for server_id, server in new_servers.items():
            known = self.servers.get(server_id)
            if known is not None:
                server.alive_ms = max(server.alive_ms, known.alive_ms)
                server.newest_ms = max(server.newest_ms, known.newest_ms)
        self.servers = new_servers
        self.layouts = {
            server_id: {layout.id: layout for layout in layouts.get(server_id, ())} for server_id in new_servers
        }
        self._unfilled = defaultdict(
            set, {server_id: series for server_id, series in self._unfilled.items() if server_id in new_servers}
        )
        self._rearrange()

    def set_rules(self, rules: dict[int, Rule]) -> None:
        """Replaces the rules."""
        self.watches = {rule_id: Watch(rule) for rule_id, rule in rules.items()}
        self._rearrange()

    def _rearrange(self) -> None:
        """Selects the series of every rule again: 0.3 s for 1,000 servers and 50 rules, after each change."""
        self._places = {server_id: place for place, server_id in enumerate(self.servers)}
        self.alive = np.array([server.alive_ms for server in self.servers.values()], np.int64)
        self.steps = np.array([server.step_ms for server in self.servers.values()], np.int64)
        self._plans = {}
        by_layout: dict[tuple[int, int], list[Series]] = {}
        for rule_id, old in list(self.watches.items()):
            watch = Watch(old.rule)
            members: dict[Ring, list[tuple[SeriesKey, Series, int]]] = {}
            for server in self.servers.values():
                if not watch.rule.scope.covers(server.id, server.name, server.tags):
                    continue
                if isinstance(watch.rule.condition, ServerDown):
                    watch.keys.append(SeriesKey(server.id, ""))
                    watch.series.append(None)
                    continue
                ring = self._ring(*samples_needed(watch.rule, server.step_ms))
                for series in self._selected(rule_id, watch.rule, server, by_layout):
                    members.setdefault(ring, []).append(
                        (SeriesKey(server.id, str(series)), series, self._track(ring, server, series))
                    )
            for ring, ring_members in members.items():
                # In the order of tracks, so that a rule that covers all servers is a slice of the ring.
                ring_members.sort(key=lambda member: member[2])
                watch.keys += [key for key, _, _ in ring_members]
                watch.series += [series for _, series, _ in ring_members]
                watch.segments.append(Segment(ring, np.array([track for _, _, track in ring_members], np.intp)))
            watch.server_places = np.array([self._places[key.server_id] for key in watch.keys], np.intp)
            self.watches[rule_id] = watch
        self._forget_unused()
        self._make_plans()

    def _forget_unused(self) -> None:
        """Forgets rings that no rule uses any more, and tracks of servers that no longer exist."""
        used = {segment.ring for watch in self.watches.values() for segment in watch.segments}
        self._rings = {key: ring for key, ring in self._rings.items() if ring in used}
        self._tracks = {key: track for key, track in self._tracks.items() if key[0] in used and key[1] in self.servers}

    def _selected(
        self, rule_id: int, rule: Rule, server: WatchedServer, by_layout: dict[tuple[int, int], list[Series]]
    ) -> list[Series]:
        """The server's series that the rule watches. ``by_layout``: a cache by rule id and layout id."""
        selected: dict[Series, None] = {}
        if rule.series_condition is not None and rule.series_condition.metric == CLOCK_SKEW:
            return [SKEW_SERIES]
        for layout_id, layout in self.layouts[server.id].items():
            # Servers share layouts, so each is searched once per rule.
            if (rule_id, layout_id) not in by_layout:
                by_layout[rule_id, layout_id] = [series for series in layout.series if rule.selects(series)]
            selected.update(dict.fromkeys(by_layout[rule_id, layout_id]))
        return list(selected)

    def _ring(self, slots: int, spacing_ms: int) -> Ring:
        return self._rings.setdefault((slots, spacing_ms), Ring(slots, spacing_ms))

    def _track(self, ring: Ring, server: WatchedServer, series: Series) -> int:
        key = (ring, server.id, series)
        if key not in self._tracks:
            track = self._tracks[key] = ring.add(server.step_ms)
            if series == SKEW_SERIES:
                ring.ready[track] = True
            else:
                self._unfilled[server.id].add(series)
        return self._tracks[key]

    def _make_plans(self) -> None:
        by_server: dict[int, list[tuple[Series, Ring, int]]] = defaultdict(list)
        for (ring, server_id, series), track in self._tracks.items():
            if server_id in self.servers:
                by_server[server_id].append((series, ring, track))
        for server_id, layouts in self.layouts.items():
            for layout_id, layout in layouts.items():
                places: dict[Ring, list[tuple[int, int]]] = {}
                for series, ring, track in by_server[server_id]:
                    position = layout.position.get(series)
                    if position is not None:
                        places.setdefault(ring, []).append((position, track))
                plan = self._plans[server_id, layout_id] = []
                for ring, pairs in places.items():
                    positions, tracks = zip(*sorted(pairs), strict=True)
                    plan.append((ring, np.array(positions, np.intp), np.array(tracks, np.intp)))

    def add_frames(self, frames: Sequence[tuple[int, Frame]], now_ms: int) -> None:
        """Adds new frames, (server id, frame), each server's and layout's in the order of time.

        Also records that their servers are alive, and their clock skew.
        """
        # A round has at most one frame of each server and layout.
        rounds: list[dict[int, list[tuple[int, Frame]]]] = []
        nth: dict[tuple[int, int], int] = defaultdict(int)
        newest: dict[int, int] = {}
        for server_id, frame in frames:
            if server_id not in self.servers or frame.layout_id not in self.layouts[server_id]:
                continue
            turn = nth[server_id, frame.layout_id]
            nth[server_id, frame.layout_id] += 1
            if turn == len(rounds):
                rounds.append(defaultdict(list))
            rounds[turn][frame.layout_id].append((server_id, frame))
            newest[server_id] = max(newest.get(server_id, 0), frame.time_ms)
        for round_ in rounds:
            for layout_id, group in round_.items():
                self._push(layout_id, group)
        self._record_arrival(newest, now_ms)

    def _push(self, layout_id: int, group: list[tuple[int, Frame]]) -> None:
        table = np.frombuffer(b"".join(frame.values for _, frame in group), "<f8").reshape(len(group), -1)
        times = np.array([frame.time_ms for _, frame in group], np.int64)
        by_ring: dict[Ring, list[tuple[int, Indices, Indices]]] = defaultdict(list)
        for row, (server_id, _) in enumerate(group):
            for ring, positions, tracks in self._plans[server_id, layout_id]:
                by_ring[ring].append((row, positions, tracks))
        for ring, parts in by_ring.items():
            rows = np.repeat([row for row, _, _ in parts], [len(tracks) for _, _, tracks in parts])
            positions = np.concatenate([positions for _, positions, _ in parts])
            tracks = np.concatenate([tracks for _, _, tracks in parts])
            ring.push(tracks, times[rows], table[rows, positions])

    def _record_arrival(self, newest: dict[int, int], now_ms: int) -> None:
        skews: dict[Ring, list[tuple[int, float]]] = defaultdict(list)
        for server_id, time_ms in newest.items():
            server = self.servers[server_id]
            # A backlog has old time stamps, but that it arrives at all shows that the server is alive.
            server.newest_ms = max(server.newest_ms, time_ms)
            server.alive_ms = max(server.alive_ms, now_ms)
            self.alive[self._places[server_id]] = server.alive_ms
            for ring in self._rings.values():
                track = self._tracks.get((ring, server_id, SKEW_SERIES))
                if track is not None:
                    skews[ring].append((track, (server.newest_ms - now_ms) / 1000))
        for ring, pairs in skews.items():
            tracks, values = np.array([track for track, _ in pairs], np.intp), np.array([skew for _, skew in pairs])
            ring.push(tracks, np.full(len(pairs), now_ms, np.int64), values)

    def unfilled(self) -> dict[int, set[Series]]:
        """Server id -> series whose windows have not been filled from stored history yet."""
        return {server_id: set(series) for server_id, series in self._unfilled.items() if series}

    def fill(self, server_id: int, stored: dict[tuple[Series, int], tuple[Times, Values]]) -> None:
        """Fills the windows of a server. ``stored``: (series, spacing) -> its samples. Marks all its series ready."""
        empty = np.zeros(0, np.int64), np.zeros(0)
        for (ring, owner, series), track in self._tracks.items():
            if owner == server_id and not ring.ready[track]:
                ring.fill(track, *stored.get((series, ring.spacing_ms), empty))
        self._unfilled.pop(server_id, None)

    def spans_ms(self, server_id: int) -> dict[int, int]:
        """Spacing -> how far back the rings with this spacing reach for this server."""
        spans: dict[int, int] = {}
        step_ms = self.servers[server_id].step_ms
        for (slots, spacing_ms), _ in self._rings.items():
            spans[spacing_ms] = max(spans.get(spacing_ms, 0), slots * (spacing_ms or step_ms))
        return spans
