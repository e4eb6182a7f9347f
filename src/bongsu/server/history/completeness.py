"""Completeness: frames stored, frames expected, and the gaps between them, which prove what was not lost.

Each frame is expected one interval after the previous one. Frames are counted in runs: a raw frame is a run of one, a
rollup bucket is a run from its first to its last frame. The number of missing frames is how many more would fit between
and within runs. So jitter does not count as loss, and a frame that is stored twice counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from bongsu.arrays import Counts, Times
from bongsu.core.series import Layout, Series
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.storage.archive import RAW, heads_of, rollup_heads_of
from bongsu.server.storage.blocks import CorruptBlock, Head
from bongsu.server.storage.frames import times_between
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.parts import PartRequest, read_parts
from bongsu.server.storage.rollup_blocks import SHARED, decode_shared

MAX_GAPS = 100
EDGE_INTERVALS = 0.1
# Fewer frames do not show an interval.
FRAMES_TO_LEARN = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames missing between two times."""

    start_ms: int
    end_ms: int
    missing: int


@dataclass(frozen=True, slots=True)
class Completeness:
    """Of one server in ``[start_ms, end_ms)``, limited to the time it was watched. ``gaps``: the longest."""

    server_id: int
    start_ms: int
    end_ms: int
    stored: int
    missing: int
    gaps: list[Gap]

    @property
    def expected(self) -> int:
        """How many frames there should be."""
        return self.stored + self.missing

    @property
    def ratio(self) -> float | None:
        """stored / expected; None when no frame is expected."""
        return self.stored / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class Runs:
    """``first_ms``, ``last_ms``, ``frames``: (n,) each, ordered by ``first_ms``."""

    first_ms: Times
    last_ms: Times
    frames: Counts


Intervals = Sequence[tuple[int, int]]  # (since when, interval), both in ms, oldest first


def read_runs(
    connection: Connection, keys: Sequence[LayoutKey], start_ms: int, end_ms: int, floors: dict[int, int]
) -> Runs:
    """The frames of one server (``keys``: its layouts), from raw samples where they are kept, else from rollups."""
    edges = [max(start_ms, min(floors[tier], end_ms)) for tier in (HOUR_MS, MINUTE_MS, RAW)]
    # Hours, minutes and raw: each from its own floor to the floor of the next finer tier.
    bounds = [*edges, end_ms]
    parts = []
    for tier, first, last in zip((HOUR_MS, MINUTE_MS), bounds, bounds[1:], strict=False):
        if first < last:
            parts.append(_rollup_runs(connection, keys, tier, first, last))
    if bounds[2] < end_ms:
        times = _raw_times(connection, keys, bounds[2], end_ms)
        parts.append(Runs(times, times, np.ones(len(times), np.int64)))
    if not parts:
        empty = np.empty(0, np.int64)
        return Runs(empty, empty, empty)
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in Runs.__slots__]
    order = np.argsort(joined[0], kind="stable")
    return Runs(*(column[order] for column in joined))


def _raw_times(connection: Connection, keys: Sequence[LayoutKey], start_ms: int, end_ms: int) -> Times:
    parts = [np.empty(0, np.int64)]
    for key in keys:
        for info, head in heads_of(connection, [key], start_ms, end_ms):
            try:
                parts.append(Head.open(head, info.checksum).times)
            except CorruptBlock:
                continue  # what cannot be read is lost
        parts.append(np.array(times_between(connection, key, start_ms, end_ms), np.int64))
    times = np.unique(np.concatenate(parts))
    return times[(times >= start_ms) & (times < end_ms)]


def _rollup_runs(connection: Connection, keys: Sequence[LayoutKey], tier: int, start_ms: int, end_ms: int) -> Runs:
    heads: list[Head] = []
    requests: list[PartRequest] = []
    for key in keys:
        for row in rollup_heads_of(connection, [key], tier, start_ms, end_ms):
            try:
                head = row.opened()
                requests.append(PartRequest(key, tier, row.start_ms, *head.place(SHARED)))
                heads.append(head)
            except CorruptBlock:
                continue
    columns: list[list[npt.NDArray[np.int64]]] = [[np.empty(0, np.int64)] for _ in range(4)]
    for head, part in zip(heads, read_parts(connection, requests), strict=True):
        try:
            frames, first, last = decode_shared(head, part)
        except CorruptBlock:
            continue
        for column, values in zip(columns, (head.times, first, last, frames), strict=True):
            column.append(values)
    times, first, last, frames = (np.concatenate(column) for column in columns)
    inside = (times >= start_ms - start_ms % tier) & (times < end_ms)
    return _one_a_bucket(times[inside], first[inside], last[inside], frames[inside])


def _one_a_bucket(times: Times, first: Times, last: Times, frames: Counts) -> Runs:
    """One run for each bucket: layouts that follow each other within it add up; of parallel ones the fullest counts."""
    if not len(times):
        return Runs(first, last, frames)
    order = np.lexsort((first, times))
    times, first, last, frames = times[order], first[order], last[order], frames[order]
    starts = np.flatnonzero(np.diff(times, prepend=times[0] - 1))
    if len(starts) == len(times):
        return Runs(first, last, frames)
    follows = np.append(False, (first[1:] > last[:-1]) & (times[1:] == times[:-1]))
    summed = np.add.reduceat(frames, starts)
    fullest = np.maximum.reduceat(frames, starts)
    ends = np.append(starts[1:], len(times))
    one_after_the_other = np.add.reduceat(follows.astype(np.int64), starts) == ends - starts - 1
    return Runs(
        np.minimum.reduceat(first, starts),
        np.maximum.reduceat(last, starts),
        np.where(one_after_the_other, summed, fullest),
    )


def judge(server_id: int, runs: Runs, start_ms: int, end_ms: int, intervals: Intervals) -> Completeness:
    """Counts the stored and missing frames in ``[start_ms, end_ms)``, the time for which the server was watched."""
    since = np.array([since for since, _ in intervals], np.int64)
    lengths = np.array([length for _, length in intervals], np.int64)

    def interval_at(times: Times) -> Counts:
        return lengths[np.clip(np.searchsorted(since, times, side="right") - 1, 0, len(since) - 1)]

    if not len(runs.frames):
        edge = np.array([start_ms], np.int64)
        missing = int((end_ms - start_ms) // interval_at(edge)[0])
        gaps = [Gap(start_ms, end_ms, missing)] if missing else []
        return Completeness(server_id, start_ms, end_ms, 0, missing, gaps)
    froms = np.append(start_ms, np.maximum.accumulate(runs.last_ms))
    tos = np.append(runs.first_ms, end_ms)
    room = np.maximum(tos - froms, 0) / interval_at(froms)
    # Between two frames fits one frame less than there are intervals. At the edges of the range the frame beyond is not
    # known, so a frame that may have been a little early or late does not count as missing.
    between = np.maximum(np.rint(room).astype(np.int64) - 1, 0)
    between[[0, -1]] = np.maximum(np.floor(room[[0, -1]] - EDGE_INTERVALS).astype(np.int64), 0)
    spans = (runs.last_ms - runs.first_ms) / interval_at(runs.first_ms)
    within = np.maximum(np.rint(spans).astype(np.int64) + 1 - runs.frames, 0)
    gaps = [Gap(int(froms[i]), int(tos[i]), int(between[i])) for i in np.flatnonzero(between)]
    gaps += [Gap(int(runs.first_ms[i]), int(runs.last_ms[i]), int(within[i])) for i in np.flatnonzero(within)]
    longest = sorted(gaps, key=lambda gap: gap.missing, reverse=True)[:MAX_GAPS]
    missing = int(between.sum() + within.sum())
    return Completeness(
        server_id, start_ms, end_ms, int(runs.frames.sum()), missing, sorted(longest, key=lambda gap: gap.start_ms)
    )


def streams(layouts: Sequence[Layout]) -> list[list[int]]:
    """The ids of layouts that share a series, and so follow each other, such as before and after a disk was added.

    Layouts without a common series are sampled beside each other, at intervals of their own.
    """
    found: list[tuple[set[Series], list[int]]] = []
    for layout in layouts:
        names, ids = set(layout.series), [layout.id]
        apart = []
        for stream in found:
            if names.isdisjoint(stream[0]):
                apart.append(stream)
            else:
                names |= stream[0]
                ids = stream[1] + ids
        found = [*apart, (names, ids)]
    return [ids for _, ids in found]


def judge_streams(
    server_id: int, runs: Sequence[Runs], start_ms: int, end_ms: int, intervals: Intervals
) -> Completeness:
    """``judge`` for a server with several streams: the one with most frames, which the agent's interval is about, for
    the whole time; each other one between its first and last frame, at the interval that it shows.
    """
    if not runs:
        runs = [Runs(*(np.empty(0, np.int64) for _ in range(3)))]
    ordered = sorted(runs, key=lambda stream: int(stream.frames.sum()), reverse=True)
    results = [judge(server_id, ordered[0], start_ms, end_ms, intervals)]
    for stream in ordered[1:]:
        frames = int(stream.frames.sum())
        first_ms, last_ms = (int(stream.first_ms[0]), int(stream.last_ms.max())) if frames else (0, 0)
        if frames < FRAMES_TO_LEARN:
            results.append(Completeness(server_id, first_ms, last_ms, frames, 0, []))
            continue
        interval_ms = _interval_of(stream)
        results.append(judge(server_id, stream, first_ms, last_ms + 1, [(0, interval_ms)]))
    gaps = [gap for result in results for gap in result.gaps]
    longest = sorted(gaps, key=lambda gap: gap.missing, reverse=True)[:MAX_GAPS]
    return Completeness(
        server_id,
        start_ms,
        end_ms,
        sum(result.stored for result in results),
        sum(result.missing for result in results),
        sorted(longest, key=lambda gap: gap.start_ms),
    )


def _interval_of(stream: Runs) -> int:
    """The usual time between two frames, in ms."""
    within = (stream.last_ms - stream.first_ms)[stream.frames > 1] / (stream.frames[stream.frames > 1] - 1)
    between = np.diff(stream.first_ms)[stream.frames[:-1] == 1]
    return max(1, int(np.median(np.concatenate([within, between]))))
