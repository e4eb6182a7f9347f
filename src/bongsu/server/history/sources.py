"""Reads some series of some layouts from the database. Returns bytes: decoding, which takes CPU time, comes later."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import Connection

from bongsu.arrays import Times, Values
from bongsu.server.history.decoded import Decoded, DecodedRows
from bongsu.server.history.query import Missing
from bongsu.server.history.rollups import SeriesRollup
from bongsu.server.storage.archive import (
    RAW,
    SPAN_MS,
    BlockInfo,
    StoredRollup,
    heads_of,
    rollup_heads_of,
    starts_of_not_rolled,
)
from bongsu.server.storage.blocks import CorruptBlock, Head
from bongsu.server.storage.frames import FrameColumns, frame_columns
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.parts import PartRequest, read_parts, together
from bongsu.server.storage.rollup_blocks import SHARED

# Layouts that the same statements read. An agent that sends more frames than it says makes a query larger than it was
# estimated; it ends after the first of these groups.
GROUP = 64


@dataclass(slots=True)
class BlockColumns:
    """Some columns of one block (``step_ms`` None) or of one rollup row."""

    key: LayoutKey
    step_ms: int | None
    start_ms: int
    end_ms: int
    checksum: int
    row: Decoded
    decoded: DecodedRows
    # Column -> its bytes, of those that are not decoded; columns of a rollup as they are stored.
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def times(self) -> Times:
        """Of the frames, or the starts of the buckets."""
        return self.row.head.times

    def column(self, position: int) -> Values:
        """The values of one series, from a block. Raises CorruptBlock."""
        found = self.row.columns.get(position)
        return self.decoded.column(self.row, position, self.part(position)) if found is None else found

    def values(self, position: int) -> Values:
        """The same, without keeping them decoded. Raises CorruptBlock."""
        found = self.row.columns.get(position)
        return self.row.head.column(position, self.part(position)) if found is None else found

    def buckets(self, position: int, *, counter: bool) -> SeriesRollup:
        """The buckets of one series, from a rollup row. Raises CorruptBlock."""
        found = self.row.buckets.get(position)
        if found is None:
            part = self.part(position + 1)
            found = self.decoded.buckets(self.row, position, self.part(SHARED), part, counter=counter)
        return found

    def part(self, column: int) -> bytes:
        """A column as it is stored; empty if it could not be read."""
        return self.parts.get(column, b"")

    def unread(self, positions: Sequence[int], rolled_ms: int) -> list[int]:
        """The columns that have to be read for these series. ``rolled_ms``: the step of the buckets that are made of a
        block; 0: none are."""
        if self.step_ms is None:
            known = self.row.columns
            if not rolled_ms:
                return [position for position in positions if position not in known]
            rolled = self.row.rolled
            return [position for position in positions if (position, rolled_ms) not in rolled and position not in known]
        series = [position + 1 for position in positions if position not in self.row.buckets]
        return series if self.row.shared is not None or not series else [SHARED, *series]


@dataclass(slots=True)
class LayoutRows:
    """The stored data of one layout in a range: rollups, and raw samples where the rollups are behind.

    ``positions``: of the series that are read. ``raw_spans``: starts of the spans for which the raw samples count
    instead of the rollups. ``rolled_ms``: the step of the buckets that each block and the frames make of these; 0: none
    are made, or the samples have to be merged before, since some came late.
    """

    key: LayoutKey
    positions: Sequence[int]
    frames: FrameColumns | None = None
    blocks: list[BlockColumns] = field(default_factory=list)
    rollups: list[BlockColumns] = field(default_factory=list)
    raw_spans: set[int] = field(default_factory=set)
    missing: list[Missing] = field(default_factory=list)
    rolled_ms: int = 0
    # Whether buckets are made for all series at once and kept.
    together: bool = True
    # Position -> the buckets of the frames, once they are made.
    rolled_frames: dict[int, SeriesRollup] | None = None

    @property
    def frames_stored(self) -> int:
        """Frames of the blocks, buckets of the rollups, and frames that are not sealed."""
        unsealed = 0 if self.frames is None else len(self.frames.times)
        return unsealed + sum(len(source.times) for source in (*self.blocks, *self.rollups))

    def is_in_order(self) -> bool:
        """Whether blocks and frames follow each other in time."""
        ends = [(block.start_ms, block.end_ms) for block in self.blocks]
        if self.frames is not None:
            ends.append((int(self.frames.times[0]), int(self.frames.times[-1]) + 1))
        return all(before[1] <= after[0] for before, after in pairwise(ends))

    def add_to(self, digest: "hashlib.blake2b") -> None:
        """Adds what identifies this content to a digest."""
        for source in (*self.blocks, *self.rollups):
            digest.update(f"{self.key} {source.step_ms} {source.start_ms} {source.checksum};".encode())
        if self.frames is not None:
            times = self.frames.times
            digest.update(f"{self.key} {len(times)} {times[0]} {times[-1]};".encode())


def read_layouts(
    connection: Connection,
    wanted: Mapping[LayoutKey, Sequence[int]],
    tier: int,
    start_ms: int,
    end_ms: int,
    floor_ms: int,
    decoded: DecodedRows,
    check: Callable[[int], None],
) -> dict[LayoutKey, LayoutRows]:
    """What there is of some layouts in ``[start_ms, end_ms)``, in the order of ``wanted``, which says the positions of
    the series of each (ascending). ``check`` is told how many samples were found, and may raise.

    ``floor_ms``: raw samples before it are no longer kept. At a coarser tier than raw, spans with frames that are not
    part of the rollups yet are read raw: the last hours, and spans that late frames arrived in.
    """
    keys = list(wanted)
    found: dict[LayoutKey, LayoutRows] = {}
    samples = 0
    for first in range(0, len(keys), GROUP):
        group = {key: LayoutRows(key, wanted[key]) for key in keys[first : first + GROUP]}
        _open(connection, group, tier, start_ms, end_ms, floor_ms, decoded)
        for rows in group.values():
            rows.rolled_ms = tier if rows.is_in_order() else RAW
        samples += sum(rows.frames_stored * len(rows.positions) for rows in group.values())
        check(samples)
        _read_columns(connection, group.values())
        found |= group
    return found


def _open(
    connection: Connection,
    group: Mapping[LayoutKey, LayoutRows],
    tier: int,
    start_ms: int,
    end_ms: int,
    floor_ms: int,
    decoded: DecodedRows,
) -> None:
    wanted = {key: rows.positions for key, rows in group.items()}
    for key, frames in frame_columns(connection, wanted, start_ms, end_ms).items():
        group[key].missing.extend(Missing(key[0], time_ms, time_ms + 1) for time_ms in frames.damaged)
        if len(frames.times):
            group[key].frames = frames
    if tier == RAW:
        for info, head in heads_of(connection, list(group), start_ms, end_ms):
            _add_block(group[info.server_id, info.layout_id], info, head, decoded)
        return
    pending = _pending(connection, group, start_ms, end_ms)
    for key, spans in pending.items():
        group[key].raw_spans = {span_ms for span_ms in spans if span_ms >= floor_ms}
    if pending:
        first_ms = min(map(min, pending.values()))
        last_ms = min(max(map(max, pending.values())) + SPAN_MS, end_ms)
        for info, head in heads_of(connection, list(pending), first_ms, last_ms):
            rows = group[info.server_id, info.layout_id]
            span_ms = info.start_ms - info.start_ms % SPAN_MS
            if span_ms in pending[rows.key] and (not info.rolled or span_ms in rows.raw_spans):
                _add_block(rows, info, head, decoded)
    for stored in rollup_heads_of(connection, list(group), tier, start_ms, end_ms):
        _add_rollup(group[stored.server_id, stored.layout_id], stored, decoded)


def _pending(
    connection: Connection, group: Mapping[LayoutKey, LayoutRows], start_ms: int, end_ms: int
) -> dict[LayoutKey, set[int]]:
    """The starts of the spans of each layout that are not in the rollups yet, or only in part."""
    pending: dict[LayoutKey, set[int]] = {}
    for key, time_ms in starts_of_not_rolled(connection, list(group), start_ms, end_ms):
        pending.setdefault(key, set()).add(time_ms - time_ms % SPAN_MS)
    for key, rows in group.items():
        if rows.frames is not None:
            times = rows.frames.times
            pending.setdefault(key, set()).update((times - times % SPAN_MS).tolist())
    return pending


def _add_block(rows: LayoutRows, info: BlockInfo, head: bytes, decoded: DecodedRows) -> None:
    key = (*rows.key, 0, info.start_ms, info.end_ms, info.checksum)
    try:
        row = decoded.get(key, lambda: Head.open(head, info.checksum))
    except CorruptBlock:
        rows.missing.append(Missing(rows.key[0], info.start_ms, info.end_ms + 1))
        return
    rows.blocks.append(BlockColumns(rows.key, None, info.start_ms, info.end_ms + 1, info.checksum, row, decoded))


def _add_rollup(rows: LayoutRows, stored: StoredRollup, decoded: DecodedRows) -> None:
    key = (*rows.key, stored.step_ms, stored.start_ms, stored.end_ms, stored.checksum)
    try:
        row = decoded.get(key, stored.opened)
    except CorruptBlock:
        rows.missing.append(Missing(rows.key[0], stored.start_ms, stored.end_ms))
        return
    rows.rollups.append(
        BlockColumns(rows.key, stored.step_ms, stored.start_ms, stored.end_ms, stored.checksum, row, decoded)
    )


def _read_columns(connection: Connection, group: Iterable[LayoutRows]) -> None:
    requests: list[PartRequest] = []
    targets: list[tuple[BlockColumns, list[tuple[int, int, int]]]] = []
    for rows in group:
        for source in (*rows.blocks, *rows.rollups):
            try:
                places = [
                    (position, *source.row.head.place(position))
                    for position in source.unread(rows.positions, rows.rolled_ms)
                ]
            except CorruptBlock:
                continue  # reading its columns reports them as missing
            for part, slices in _cut(source, places):
                requests.append(part)
                targets.append((source, slices))
    for (source, slices), data in zip(targets, read_parts(connection, requests), strict=True):
        for position, start, length in slices:
            source.parts[position] = data[start : start + length]


def _cut(
    source: BlockColumns, places: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[PartRequest, list[tuple[int, int, int]]]]:
    """How to read columns (number, offset, length): what is read at a time, and where in it each column is."""
    if not places:
        return
    if together([(offset, length) for _, offset, length in places]):
        first, last = places[0][1], places[-1][1] + places[-1][2]
        yield _part(source, first, last - first), [(number, at - first, length) for number, at, length in places]
        return
    for number, offset, length in places:
        yield _part(source, offset, length), [(number, 0, length)]


def _part(source: BlockColumns, offset: int, length: int) -> PartRequest:
    return PartRequest(source.key, source.step_ms, source.start_ms, offset, length)
