"""The servers of a worker's shards, and the newest samples of the series that rules watch.

For each layout of a server, a plan says which values of a frame go to which tracks. Frames of equal layouts are added
together: 1,000 frames of 150 values, of which 20 are watched, take some 10 ms. Only the layouts' content counts: agents
choose the ids, so two servers may have different layouts with one id.

A rule, server or frame that causes an error is left out and told in ``skipped``; it costs only itself.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from bongsu.alerts.conditions import CLOCK_SKEW, PromQLCondition
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import SeriesKey, Subject
from bongsu.alerts.watched import WatchedServer
from bongsu.alerts.watches import (
    SKEW_SERIES,
    Member,
    Track,
    Watch,
    by_labels,
    operand_metrics,
    operands_of,
    samples_needed,
    watch_of,
    window_samples,
)
from bongsu.alerts.windows import Ring
from bongsu.arrays import Flags, Indices, Times, Values
from bongsu.core.samples import Frame
from bongsu.core.series import Layout, Series

# How much longer than the grace time of its rule a series is known that a PromQL query no longer answers.
KEEP_MS = 120_000


class Fleet:
    """The servers of one worker's shards, with rings and watches."""

    def __init__(self) -> None:
        self.servers: dict[int, WatchedServer] = {}
        self.layouts: dict[int, dict[int, Layout]] = {}
        self.watches: dict[int, Watch] = {}
        # ("rule" or "server", id) -> why it is left out.
        self.skipped: dict[Subject, str] = {}
        self._rules: dict[int, Rule] = {}
        # Rule id -> server id -> what the rule watches there.
        self._members: dict[int, dict[int, list[Member]]] = {}
        self._rings: dict[tuple[int, int], Ring] = {}
        self._tracks: dict[int, dict[tuple[Ring, Series], int]] = defaultdict(dict)
        # Server id -> layout id -> for each ring: positions in a frame, and the tracks that they go to.
        self._plans: dict[int, dict[int, list[tuple[Ring, Indices, Indices]]]] = {}
        self._unfilled: dict[int, set[Series]] = defaultdict(set)
        self._places: dict[int, int] = {}
        self.alive: Times = np.zeros(0, np.int64)
        self.steps: Times = np.zeros(0, np.int64)
        self.shifts: Times = np.zeros(0, np.int64)
        self.heard: Flags = np.zeros(0, np.bool_)
        # No API server runs, so silence says nothing: what is known stays as it is.
        self.deaf = False

    def set_servers(self, servers: Iterable[WatchedServer], layouts: Mapping[int, Sequence[Layout]]) -> None:
        """Replaces servers and layouts. Servers that remain keep their samples; only what changed is selected again."""
        before, layouts_before = self.servers, self.layouts
        self.servers = {server.id: server for server in servers}
        self.layouts = {
            server_id: {layout.id: layout for layout in layouts.get(server_id, ())} for server_id in self.servers
        }
        changed = []
        for server_id, server in self.servers.items():
            known = before.get(server_id)
            if known is not None and known is not server:
                server.copy_state(known)
            if (
                known is None
                or (known.name, known.tags, known.step_ms) != (server.name, server.tags, server.step_ms)
                or layouts_before[server_id] != self.layouts[server_id]
            ):
                changed.append(server_id)
        gone = before.keys() - self.servers.keys()
        self._place_servers()
        for server_id in gone:
            self._forget_server(server_id)
        self._select(self._rules, changed, everywhere=bool(gone) or before.keys() != self.servers.keys())

    def set_rules(self, rules: Mapping[int, Rule]) -> None:
        """Replaces the rules."""
        before, self._rules = self._rules, dict(rules)
        self._members = {
            rule_id: members for rule_id, members in self._members.items() if rules.get(rule_id) == before[rule_id]
        }
        self.watches = {rule_id: watch for rule_id, watch in self.watches.items() if rule_id in self._members}
        self.skipped = {key: why for key, why in self.skipped.items() if key[0] != "rule"}
        new = {rule_id: rule for rule_id, rule in self._rules.items() if rule_id not in self._members}
        self._select(new, self.servers, everywhere=False)

    def _place_servers(self) -> None:
        self._places = {server_id: place for place, server_id in enumerate(self.servers)}
        self.alive = np.array([server.alive_ms for server in self.servers.values()], np.int64)
        self.steps = np.array([server.step_ms for server in self.servers.values()], np.int64)
        self.shifts = np.array([server.shift_ms for server in self.servers.values()], np.int64)
        self.heard = np.array([server.heard for server in self.servers.values()], np.bool_)

    def _forget_server(self, server_id: int) -> None:
        for members in self._members.values():
            members.pop(server_id, None)
        for (ring, _), track in self._tracks.pop(server_id, {}).items():
            ring.remove(track)
        self._plans.pop(server_id, None)
        self._unfilled.pop(server_id, None)
        self.skipped.pop(("server", server_id), None)

    def _select(self, rules: Mapping[int, Rule], server_ids: Collection[int], *, everywhere: bool) -> None:
        """Selects what these rules watch on these servers. ``everywhere``: the places of servers have changed."""
        stale = {rule_id for rule_id in self._rules if everywhere or rule_id not in self.watches}
        selections: dict[tuple[int, int], list[Series]] = {}
        for rule_id, rule in rules.items():
            by_server = self._members.setdefault(rule_id, {})
            try:
                for server_id in server_ids:
                    members = self._members_of(rule_id, rule, self.servers[server_id], selections)
                    if by_server.get(server_id, []) != members:
                        by_server[server_id] = members
                        stale.add(rule_id)
            except Exception as error:
                self.skipped["rule", rule_id] = f"it cannot select its series: {type(error).__name__}"
                self._members[rule_id] = {}
                stale.add(rule_id)
        for rule_id in stale:
            if isinstance(self._rules[rule_id].condition, PromQLCondition):
                self._keep_answered(rule_id)
            else:
                self.watches[rule_id] = watch_of(self._rules[rule_id], self._members[rule_id], self._places)
        self._forget_unused(server_ids)
        for server_id in server_ids:
            self._plan(server_id)

    def _keep_answered(self, rule_id: int) -> None:
        """What a PromQL rule watches follows from its answers; only servers that are gone are left out."""
        watch = self.watches.get(rule_id) or Watch(self._rules[rule_id])
        gone = [index for index, key in enumerate(watch.keys) if key.server_id not in self._places]
        if gone:
            watch.keys = [key for key in watch.keys if key.server_id in self._places]
            watch.answer = np.delete(watch.answer, gone)
        watch.server_places = np.array([self._places[key.server_id] for key in watch.keys], np.intp)
        self.watches[rule_id] = watch

    def answer(
        self, rule_id: int, found: Mapping[SeriesKey, float], open_keys: Collection[SeriesKey], now_ms: int
    ) -> None:
        """Takes over the answer to a PromQL rule. A key that is no longer in it stays until its alert has ended and the
        grace time for missing data is over. ``open_keys``: those with an alert."""
        watch = self.watches[rule_id]
        found = {key: value for key, value in found.items() if key.server_id in self._places}
        watch.answered_ms |= dict.fromkeys(found, now_ms)
        keep_ms = ms(watch.rule.no_data.after) + KEEP_MS
        watch.answered_ms = {
            key: answered_ms
            for key, answered_ms in watch.answered_ms.items()
            if now_ms - answered_ms <= keep_ms or key in open_keys
        }
        known = dict.fromkeys(key for key in open_keys if key.server_id in self._places) | dict.fromkeys(
            key for key in watch.answered_ms if key.server_id in self._places
        )
        if known.keys() != set(watch.keys):
            watch.keys = list(known)
            watch.server_places = np.array([self._places[key.server_id] for key in watch.keys], np.intp)
        watch.answer = np.array([found.get(key, math.nan) for key in watch.keys], np.float64)

    def _members_of(
        self, rule_id: int, rule: Rule, server: WatchedServer, selections: dict[tuple[int, int], list[Series]]
    ) -> list[Member]:
        """``selections``: a cache by rule and layout, since many servers share a layout."""
        if not rule.scope.covers(server.id, server.name, server.tags):
            return []
        condition = rule.series_condition
        if condition is None:
            return [] if isinstance(rule.condition, PromQLCondition) else [Member(SeriesKey(server.id, ""))]
        selected: dict[Series, None] = {}
        if condition.metric == CLOCK_SKEW:
            selected[SKEW_SERIES] = None
        else:
            for layout in self.layouts[server.id].values():
                # Equal layouts share one object, which self.layouts keeps alive.
                cached = rule_id, id(layout)
                if cached not in selections:
                    selections[cached] = [
                        series for series in layout.by_metric.get(condition.metric, ()) if rule.selects(series)
                    ]
                selected.update(dict.fromkeys(selections[cached]))
        members = []
        candidates = by_labels(operand_metrics(condition), self.layouts[server.id].values())
        for series in selected:
            operands = operands_of(condition, series, candidates)
            if operands is not None:
                of = self._track(samples_needed(condition, server.step_ms), server, series)
                tracks = [
                    self._track(window_samples(window_ms, server.step_ms), server, operand)
                    for operand, window_ms in operands
                ]
                members.append(Member(SeriesKey(server.id, str(series)), of, tuple(tracks)))
        return members

    def _track(self, size: tuple[int, int], server: WatchedServer, series: Series) -> Track:
        ring = self._rings.get(size) or self._rings.setdefault(size, Ring(*size))
        tracks = self._tracks[server.id]
        track = tracks.get((ring, series))
        if track is None:
            track = tracks[ring, series] = ring.add(server.step_ms)
            if series == SKEW_SERIES:
                ring.ready[track] = True
            else:
                self._unfilled[server.id].add(series)
        elif ring.step[track] != server.step_ms:
            ring.step[track] = ring.interval[track] = server.step_ms
        return Track(series, ring, track)

    def _forget_unused(self, server_ids: Collection[int]) -> None:
        """Frees the tracks of these servers, and forgets the rings, that no rule uses any more."""
        for server_id in server_ids:
            used = {
                (used.ring, used.track)
                for by_server in self._members.values()
                for member in by_server.get(server_id, ())
                for used in (member.of, *member.operands)
                if used is not None
            }
            tracks = self._tracks[server_id]
            for (ring, series), track in list(tracks.items()):
                if (ring, track) not in used:
                    del tracks[ring, series]
                    ring.remove(track)
            self._unfilled[server_id] &= {series for _, series in tracks}
        rings = {ring for tracks in self._tracks.values() for ring, _ in tracks}
        self._rings = {size: ring for size, ring in self._rings.items() if ring in rings}

    def _plan(self, server_id: int) -> None:
        plans = self._plans[server_id] = {}
        for layout_id, layout in self.layouts[server_id].items():
            places: dict[Ring, list[tuple[int, int]]] = {}
            for (ring, series), track in self._tracks[server_id].items():
                position = layout.position.get(series)
                if position is not None:
                    places.setdefault(ring, []).append((position, track))
            plans[layout_id] = [
                (ring, np.array(positions, np.intp), np.array(tracks, np.intp))
                for ring, pairs in places.items()
                for positions, tracks in [zip(*sorted(pairs), strict=True)]
            ]

    def add_frames(self, frames: Sequence[tuple[int, Frame]], now_ms: int, *, arrived: bool = True) -> None:
        """Adds frames, (server id, frame), each server's and layout's in the order of time.

        ``arrived``: they are new, so their servers are alive; otherwise they may have been stored long ago.
        """
        # A round has at most one frame of each server and layout.
        rounds: list[dict[int, list[tuple[int, Frame]]]] = []
        nth: dict[tuple[int, int], int] = defaultdict(int)
        newest: dict[int, int] = {}
        for server_id, frame in frames:
            if server_id not in self.servers:
                continue
            newest[server_id] = max(newest.get(server_id, 0), frame.time_ms)
            layout = self.layouts[server_id].get(frame.layout_id)
            if layout is None:
                continue
            if len(frame.values) != 8 * len(layout.series):
                self.skipped["server", server_id] = f"a frame of layout {layout.id} has a wrong length"
                continue
            turn = nth[server_id, frame.layout_id]
            nth[server_id, frame.layout_id] += 1
            if turn == len(rounds):
                rounds.append(defaultdict(list))
            rounds[turn][id(layout)].append((server_id, frame))
        for round_ in rounds:
            for group in round_.values():
                self._push(group, now_ms if arrived else None)
        if arrived:
            self._record_arrival(newest, now_ms)

    def _push(self, group: list[tuple[int, Frame]], arrived_ms: int | None) -> None:
        """Adds frames of equal layouts."""
        table = np.frombuffer(b"".join(frame.values for _, frame in group), "<f8").reshape(len(group), -1)
        times = np.array([frame.time_ms for _, frame in group], np.int64)
        by_ring: dict[Ring, list[tuple[int, Indices, Indices]]] = defaultdict(list)
        for row, (server_id, frame) in enumerate(group):
            for ring, positions, tracks in self._plans[server_id][frame.layout_id]:
                by_ring[ring].append((row, positions, tracks))
        for ring, parts in by_ring.items():
            rows = np.repeat([row for row, _, _ in parts], [len(tracks) for _, _, tracks in parts])
            positions = np.concatenate([positions for _, positions, _ in parts])
            tracks = np.concatenate([tracks for _, _, tracks in parts])
            ring.push(tracks, times[rows], table[rows, positions], arrived_ms)

    def _record_arrival(self, newest: dict[int, int], now_ms: int) -> None:
        skews: dict[Ring, list[tuple[int, float]]] = defaultdict(list)
        for server_id, time_ms in newest.items():
            server, place = self.servers[server_id], self._places[server_id]
            server.arrived(time_ms, now_ms)
            self.alive[place], self.shifts[place], self.heard[place] = server.alive_ms, server.shift_ms, True
            if server.blind_since_ms is not None:
                # A backlog looks like a clock that is behind.
                continue
            for ring in self._rings.values():
                track = self._tracks[server_id].get((ring, SKEW_SERIES))
                if track is not None:
                    skews[ring].append((track, (time_ms - now_ms) / 1000))
        for ring, pairs in skews.items():
            tracks, values = np.array([track for track, _ in pairs], np.intp), np.array([skew for _, skew in pairs])
            ring.push(tracks, np.full(len(pairs), now_ms, np.int64), values, now_ms)

    def clock_set_back(self, server_id: int) -> None:
        """Forgets the samples of a server: their time stamps are ahead of its clock now."""
        for (ring, series), track in self._tracks[server_id].items():
            if series != SKEW_SERIES:
                ring.clear(track)
        self.servers[server_id].lags.clear()

    def paused(self, pause_ms: int) -> None:
        """The worker did not look for this long, or its clock was set: that was no silence of the servers."""
        for server in self.servers.values():
            server.alive_ms += pause_ms
        self.alive += pause_ms
        for ring in self._rings.values():
            ring.arrived[ring.arrived > 0] += pause_ms

    def heard_at(self, now_ms: int) -> bool:
        """Whether a frame of any server arrived at this time."""
        return bool((self.heard & (self.alive == now_ms)).any())

    def forgive_silence(self, now_ms: int) -> None:
        """Nobody could be heard: silence counts from now, and is no sign of life either."""
        for server in self.servers.values():
            server.alive_ms, server.heard = now_ms, False
        self.alive[:], self.heard[:] = now_ms, False
        for ring in self._rings.values():
            ring.arrived[ring.arrived > 0] = now_ms
            ring.live[:] = False

    def unfilled(self) -> dict[int, set[Series]]:
        """Server id -> series whose windows have not been filled from stored history yet."""
        return {server_id: set(series) for server_id, series in self._unfilled.items() if series}

    def fill(self, server_id: int, stored: Mapping[tuple[Series, int], tuple[Times, Values]], now_ms: int) -> None:
        """Fills the windows of a server. ``stored``: (series, spacing) -> its samples. Marks all its series ready."""
        empty = np.zeros(0, np.int64), np.zeros(0)
        for (ring, series), track in self._tracks[server_id].items():
            if not ring.ready[track]:
                ring.fill(track, *stored.get((series, ring.spacing_ms), empty), now_ms)
        self._unfilled.pop(server_id, None)

    def spans_ms(self, server_id: int) -> dict[int, int]:
        """Spacing -> how far back the rings with this spacing reach for this server."""
        spans: dict[int, int] = {}
        step_ms = self.servers[server_id].step_ms
        for (slots, spacing_ms), _ in self._rings.items():
            spans[spacing_ms] = max(spans.get(spacing_ms, 0), slots * (spacing_ms or step_ms))
        return spans
