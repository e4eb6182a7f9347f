"""Reads some series of one layout from the database. Returns bytes: decoding, which takes CPU time, comes later."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from bongsu.arrays import Counts, Times, Values
from bongsu.server.history.query import Missing
from bongsu.server.history.rollups import SeriesRollup
from bongsu.server.storage.archive import RAW, SPAN_MS, heads_between, infos_between, rollup_heads_between
from bongsu.server.storage.blocks import CorruptBlock, Head
from bongsu.server.storage.frames import FrameColumns, frame_columns
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.parts import PartRequest, read_parts, together
from bongsu.server.storage.rollup_blocks import SHARED, decode_series, decode_shared


@dataclass(slots=True)
class BlockColumns:
    """Some columns of one block (``step_ms`` None) or of one rollup row."""

    key: LayoutKey
    step_ms: int | None
    start_ms: int
    end_ms: int
    checksum: int
    head: Head
    parts: dict[int, bytes] = field(default_factory=dict)
    # What all series of a rollup row share, once it is decoded.
    shared: tuple[Counts, Times, Times] | None = None

    def part(self, position: int) -> bytes:
        """The bytes of one column as stored; empty if they could not be read."""
        return self.parts.get(position, b"")

    def column(self, position: int) -> Values:
        """The values of one series, from a block. Raises CorruptBlock."""
        return self.head.column(position, self.part(position))

    def buckets(self, position: int, *, counter: bool) -> SeriesRollup:
        """The buckets of one series, from a rollup row. Raises CorruptBlock."""
        if self.shared is None:
            self.shared = decode_shared(self.head, self.part(SHARED))
        frames, first_ms, last_ms = self.shared
        part = self.part(position + 1)
        count, stats = decode_series(self.head, position, part, frames, counter=counter)
        return SeriesRollup(self.head.times, first_ms, last_ms, count, stats)


@dataclass(slots=True)
class LayoutRows:
    """The stored data of one layout in a range: rollups, and raw samples where the rollups are behind.

    ``positions``: of the series that are read. ``raw_spans``: starts of the spans for which the raw samples count
    instead of the rollups.
    """

    key: LayoutKey
    positions: Sequence[int]
    frames: FrameColumns | None = None
    blocks: list[BlockColumns] = field(default_factory=list)
    rollups: list[BlockColumns] = field(default_factory=list)
    raw_spans: set[int] = field(default_factory=set)
    missing: list[Missing] = field(default_factory=list)
    # Position -> the buckets of its raw samples, once they are made; without those that are made one by one.
    raw: dict[int, SeriesRollup] | None = None

    @property
    def frames_stored(self) -> int:
        """Frames of the blocks, buckets of the rollups, and frames that are not sealed."""
        unsealed = 0 if self.frames is None else len(self.frames.times)
        return unsealed + sum(len(source.head.times) for source in (*self.blocks, *self.rollups))

    def add_to(self, digest: "hashlib.blake2b") -> None:
        """Adds what identifies this content to a digest."""
        for source in (*self.blocks, *self.rollups):
            digest.update(f"{self.key} {source.step_ms} {source.start_ms} {source.checksum};".encode())
        if self.frames is not None:
            times = self.frames.times
            digest.update(f"{self.key} {len(times)} {times[0]} {times[-1]};".encode())


def open_layout(
    connection: Connection,
    key: LayoutKey,
    positions: Sequence[int],
    tier: int,
    start_ms: int,
    end_ms: int,
    floor_ms: int,
) -> LayoutRows:
    """What there is of one layout in ``[start_ms, end_ms)``: the columns ``positions`` (ascending) of its frames, and
    its blocks and rollups, of which ``read_columns`` reads the columns.

    ``floor_ms``: raw samples before it are no longer kept. At a coarser tier than raw, spans with frames that are not
    part of the rollups yet are read raw: the last hours, and spans that late frames arrived in.
    """
    rows = LayoutRows(key, positions, frame_columns(connection, key, start_ms, end_ms, positions))
    if rows.frames is not None:
        rows.missing.extend(Missing(key[0], time_ms, time_ms + 1) for time_ms in rows.frames.damaged)
        if not len(rows.frames.times):
            rows.frames = None
    if tier == RAW:
        _open_blocks(connection, rows, start_ms, end_ms, None)
    else:
        pending = _pending(connection, rows, start_ms, end_ms)
        rows.raw_spans = {span_ms for span_ms in pending if span_ms >= floor_ms}
        if pending:
            _open_blocks(connection, rows, min(pending), min(max(pending) + SPAN_MS, end_ms), pending)
        _open_rollups(connection, rows, tier, start_ms, end_ms)
    return rows


def read_columns(connection: Connection, rows: LayoutRows) -> None:
    """Reads the columns of the blocks and rollups."""
    _read_columns(connection, rows.blocks, [*rows.positions])
    _read_columns(connection, rows.rollups, [SHARED, *(position + 1 for position in rows.positions)])


def _pending(connection: Connection, rows: LayoutRows, start_ms: int, end_ms: int) -> set[int]:
    starts = [info.start_ms for info in infos_between(connection, rows.key, start_ms, end_ms) if not info.rolled]
    if rows.frames is not None:
        starts.extend(rows.frames.times.tolist())
    return {start - start % SPAN_MS for start in starts}


def _open_blocks(
    connection: Connection, rows: LayoutRows, start_ms: int, end_ms: int, pending: set[int] | None
) -> None:
    for info, head in heads_between(connection, rows.key, start_ms, end_ms):
        span_ms = info.start_ms - info.start_ms % SPAN_MS
        if pending is not None and (span_ms not in pending or (info.rolled and span_ms not in rows.raw_spans)):
            continue
        try:
            opened = Head.open(head, info.checksum)
        except CorruptBlock:
            rows.missing.append(Missing(rows.key[0], info.start_ms, info.end_ms + 1))
            continue
        rows.blocks.append(BlockColumns(rows.key, None, info.start_ms, info.end_ms + 1, info.checksum, opened))


def _open_rollups(connection: Connection, rows: LayoutRows, tier: int, start_ms: int, end_ms: int) -> None:
    for row in rollup_heads_between(connection, rows.key, tier, start_ms, end_ms):
        try:
            opened = row.opened()
        except CorruptBlock:
            rows.missing.append(Missing(rows.key[0], row.start_ms, row.end_ms))
            continue
        rows.rollups.append(BlockColumns(rows.key, tier, row.start_ms, row.end_ms, row.checksum, opened))


def _read_columns(connection: Connection, sources: list[BlockColumns], positions: list[int]) -> None:
    requests: list[PartRequest] = []
    targets: list[tuple[BlockColumns, list[tuple[int, int, int]]]] = []
    for source in sources:
        try:
            places = [source.head.place(position) for position in positions]
        except CorruptBlock:
            continue  # reading its columns reports them as missing
        if together(places):
            first = places[0][0]
            slices = [
                (position, start - first, length) for position, (start, length) in zip(positions, places, strict=True)
            ]
            requests.append(_part(source, first, places[-1][0] + places[-1][1] - first))
            targets.append((source, slices))
        else:
            for position, (start, length) in zip(positions, places, strict=True):
                requests.append(_part(source, start, length))
                targets.append((source, [(position, 0, length)]))
    for (source, slices), data in zip(targets, read_parts(connection, requests), strict=True):
        for position, start, length in slices:
            source.parts[position] = data[start : start + length]


def _part(source: BlockColumns, offset: int, length: int) -> PartRequest:
    return PartRequest(source.key, source.step_ms, source.start_ms, offset, length)
