"""Blocks and rollups in and out of the database.

Time is cut into spans of SPAN_MS. A block lies within one span, so what a late frame can change is one span of one
layout: its blocks, its minutes, and a few buckets of the hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select, true, update

from bongsu.core.samples import Frame
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import blocks, frames, rollups
from bongsu.server.storage.blocks import Head, Packed

SPAN_MS = 6 * HOUR_MS
RAW = 0
# What one rollup row covers: 360 minutes, 240 hours.
ROW_SPAN_MS = {MINUTE_MS: SPAN_MS, HOUR_MS: 240 * HOUR_MS}
TIERS = (RAW, *ROW_SPAN_MS)

Key = tuple[int, int]  # server id, layout id


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """A block row without its bytes."""

    server_id: int
    layout_id: int
    start_ms: int
    end_ms: int
    frames: int
    rolled: bool
    checksum: int


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block row. ``head`` and ``data`` have the form of ``storage/blocks.py``."""

    info: BlockInfo
    head: bytes
    data: bytes

    def opened(self) -> Head:
        """Raises CorruptBlock."""
        return Head.open(self.head, self.info.checksum)


@dataclass(frozen=True, slots=True)
class StoredRollup:
    """A rollup row. ``head`` and ``data`` have the form of ``storage/rollup_blocks.py``."""

    server_id: int
    layout_id: int
    step_ms: int
    start_ms: int
    end_ms: int
    buckets: int
    checksum: int
    head: bytes
    data: bytes

    def opened(self) -> Head:
        """Raises CorruptBlock."""
        return Head.open(self.head, self.checksum)


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Frames of one layout that still are rows."""

    server_id: int
    layout_id: int
    count: int
    oldest_ms: int


class FramesChanged(Exception):
    """Frames came into the span that was being sealed; it must be read again."""


class SpanChanged(Exception):
    """Blocks or rollups of the span changed while it was being compacted; it must be read again."""


def make_block(key: Key, start_ms: int, end_ms: int, count: int, packed: Packed, *, rolled: bool) -> StoredBlock:
    """A row of an encoded block."""
    return StoredBlock(BlockInfo(*key, start_ms, end_ms, count, rolled, packed.checksum), packed.head, packed.data)


# --- sealing


def unsealed(connection: Connection) -> list[Unsealed]:
    """What is not sealed yet. Reads the index only: 450,000 frames take some 50 ms."""
    query = select(frames.c.server_id, frames.c.layout_id, func.count(), func.min(frames.c.time_ms)).group_by(
        frames.c.server_id, frames.c.layout_id
    )
    return [Unsealed(*row) for row in connection.execute(query)]


def oldest_frames(
    connection: Connection, server_id: int, layout_id: int, most: int, before_ms: int | None = None
) -> list[Frame]:
    """The first frames of one layout (before ``before_ms``), oldest first."""
    query = (
        select(frames.c.time_ms, frames.c["values"])
        .where(frames.c.server_id == server_id, frames.c.layout_id == layout_id)
        .order_by(frames.c.time_ms)
        .limit(most)
    )
    if before_ms is not None:
        query = query.where(frames.c.time_ms < before_ms)
    return [Frame(layout_id, time_ms, values) for time_ms, values in connection.execute(query)]


def replace_frames(
    connection: Connection, server_id: int, layout_id: int, sealed: Sequence[Frame], block: StoredBlock | None
) -> None:
    """Takes the frames out and puts the block in. ``block`` None: all of them are in the archive already.

    Raises:
        FramesChanged: the span holds other frames than those. The transaction must be rolled back.
    """
    gone = connection.execute(
        delete(frames).where(
            frames.c.server_id == server_id,
            frames.c.layout_id == layout_id,
            frames.c.time_ms >= sealed[0].time_ms,
            frames.c.time_ms <= sealed[-1].time_ms,
        )
    ).rowcount
    if gone != len(sealed):
        raise FramesChanged
    if block is not None:
        # One of the same start is there only if its head cannot be read, so that nobody knew what it holds.
        connection.execute(delete(blocks).where(_is(block.info)))
        connection.execute(insert(blocks).values(_row(block)))


def _is(info: BlockInfo) -> ColumnElement[bool]:
    return and_(
        blocks.c.server_id == info.server_id,
        blocks.c.layout_id == info.layout_id,
        blocks.c.start_ms == info.start_ms,
    )


def _row(block: StoredBlock) -> dict[str, object]:
    info = {name: getattr(block.info, name) for name in BlockInfo.__slots__}
    return info | {"rolled": int(block.info.rolled), "head": block.head, "data": block.data}


# --- reading

_INFO = tuple(blocks.c[name] for name in BlockInfo.__slots__)
# Statements are made once: a query of 20 servers runs them 20 times, and making one anew takes twice as long as
# running it. A block that reaches into the range starts at most a span before it.
_IN_RANGE = (
    blocks.c.server_id == bindparam("server"),
    blocks.c.layout_id == bindparam("layout"),
    blocks.c.start_ms >= bindparam("span"),
    blocks.c.start_ms < bindparam("end"),
    blocks.c.end_ms >= bindparam("start"),
)
_INFOS = select(*_INFO).where(*_IN_RANGE).order_by(blocks.c.start_ms)
_HEADS = select(*_INFO, blocks.c.head).where(*_IN_RANGE).order_by(blocks.c.start_ms)
_BLOCKS = select(*_INFO, blocks.c.head, blocks.c.data).where(*_IN_RANGE).order_by(blocks.c.start_ms)


def _bounds(key: Key, start_ms: int, end_ms: int) -> dict[str, int]:
    span = start_ms - start_ms % SPAN_MS
    return {"server": key[0], "layout": key[1], "span": span, "start": start_ms, "end": end_ms}


def _info(row: Any) -> BlockInfo:
    server_id, layout_id, start_ms, end_ms, count, rolled, checksum = row[:7]
    return BlockInfo(server_id, layout_id, start_ms, end_ms, count, bool(rolled), checksum)


def infos_between(connection: Connection, key: Key, start_ms: int, end_ms: int) -> list[BlockInfo]:
    """The blocks of one layout that hold a frame with ``start_ms <= time < end_ms``, or may."""
    return [_info(row) for row in connection.execute(_INFOS, _bounds(key, start_ms, end_ms))]


def heads_between(connection: Connection, key: Key, start_ms: int, end_ms: int) -> list[tuple[BlockInfo, bytes]]:
    """The same with their heads."""
    return [(_info(row), row[7]) for row in connection.execute(_HEADS, _bounds(key, start_ms, end_ms))]


def blocks_between(connection: Connection, key: Key, start_ms: int, end_ms: int) -> list[StoredBlock]:
    """The same, whole."""
    return [
        StoredBlock(_info(row), row[7], row[8]) for row in connection.execute(_BLOCKS, _bounds(key, start_ms, end_ms))
    ]


def newest_block(connection: Connection, server_id: int, layout_id: int) -> StoredBlock | None:
    """The block with the latest frame of one layout."""
    mine = (blocks.c.server_id == server_id, blocks.c.layout_id == layout_id)
    newest_ms = connection.scalar(select(blocks.c.start_ms).where(*mine).order_by(blocks.c.start_ms.desc()).limit(1))
    if newest_ms is None:
        return None
    span_ms = newest_ms - newest_ms % SPAN_MS
    query = select(*_INFO, blocks.c.head, blocks.c.data).where(*mine, blocks.c.start_ms >= span_ms)
    row = connection.execute(query.order_by(blocks.c.end_ms.desc()).limit(1)).one()
    return StoredBlock(_info(row), row[7], row[8])


def oldest_samples(connection: Connection) -> dict[int, int]:
    """Server id -> time of its oldest sample, as near as the oldest row tells. Reads indexes only."""
    oldest: dict[int, int] = {}
    # Hours older than all of these are of a server that was first seen then.
    minutes = rollups.c.step_ms == MINUTE_MS
    for table, time_ms, where in (
        (frames, frames.c.time_ms, true()),
        (blocks, blocks.c.start_ms, true()),
        (rollups, rollups.c.start_ms, minutes),
    ):
        query = select(table.c.server_id, func.min(time_ms)).where(where).group_by(table.c.server_id)
        for server_id, first_ms in connection.execute(query):
            oldest[server_id] = min(first_ms, oldest.get(server_id, first_ms))
    return oldest


_ROLLUP_HEAD = tuple(rollups.c[name] for name in StoredRollup.__slots__ if name != "data")
_ROLLUP_HEADS = (
    select(*_ROLLUP_HEAD)
    .where(
        rollups.c.server_id == bindparam("server"),
        rollups.c.layout_id == bindparam("layout"),
        rollups.c.step_ms == bindparam("step"),
        rollups.c.start_ms > bindparam("span"),
        rollups.c.start_ms < bindparam("end"),
        rollups.c.end_ms > bindparam("start"),
    )
    .order_by(rollups.c.start_ms)
)
_ROLLUPS = _ROLLUP_HEADS.add_columns(rollups.c.data)


def rollups_between(connection: Connection, key: Key, step_ms: int, start_ms: int, end_ms: int) -> list[StoredRollup]:
    """The rollup rows of one layout that hold a bucket that overlaps ``[start_ms, end_ms)``, or may."""
    bounds = _rollup_bounds(key, step_ms, start_ms, end_ms)
    return [StoredRollup(*row) for row in connection.execute(_ROLLUPS, bounds)]


def rollup_heads_between(
    connection: Connection, key: Key, step_ms: int, start_ms: int, end_ms: int
) -> list[StoredRollup]:
    """The same without their data."""
    bounds = _rollup_bounds(key, step_ms, start_ms, end_ms)
    return [_rollup_head(row) for row in connection.execute(_ROLLUP_HEADS, bounds)]


def _rollup_head(row: Any) -> StoredRollup:
    server_id, layout_id, step_ms, start_ms, end_ms, buckets, checksum, head = row
    return StoredRollup(server_id, layout_id, step_ms, start_ms, end_ms, buckets, checksum, head, b"")


def _rollup_bounds(key: Key, step_ms: int, start_ms: int, end_ms: int) -> dict[str, int]:
    span_ms = start_ms - ROW_SPAN_MS[step_ms]
    return {"server": key[0], "layout": key[1], "step": step_ms, "span": span_ms, "start": start_ms, "end": end_ms}


# --- compaction


def not_rolled(connection: Connection) -> list[tuple[Key, int]]:
    """(key, start of the span) of every span that holds frames which are not part of the rollups."""
    query = select(blocks.c.server_id, blocks.c.layout_id, blocks.c.start_ms).where(blocks.c.rolled == 0)
    return sorted({((row[0], row[1]), row[2] - row[2] % SPAN_MS) for row in connection.execute(query)})


def has_frames(connection: Connection, key: Key, start_ms: int, end_ms: int) -> bool:
    """Whether frames with ``start_ms <= time < end_ms`` still are rows."""
    query = select(frames.c.time_ms).where(
        frames.c.server_id == key[0],
        frames.c.layout_id == key[1],
        frames.c.time_ms >= start_ms,
        frames.c.time_ms < end_ms,
    )
    return connection.execute(query.limit(1)).first() is not None


def replace_blocks(
    connection: Connection,
    read: Sequence[StoredBlock],
    made: Sequence[StoredBlock],
    rows: Sequence[tuple[StoredRollup, int | None]],
) -> None:
    """Puts compacted blocks in the place of those ``read`` (all of their span), and rollup rows in theirs.

    ``rows``: each row, and the checksum of the one it replaces; None: there was none.

    Raises:
        SpanChanged: something else changed them meanwhile. The transaction must be rolled back.
    """
    for block in read:
        same = (_is(block.info), blocks.c.checksum == block.info.checksum, blocks.c.rolled == int(block.info.rolled))
        if connection.execute(delete(blocks).where(*same)).rowcount != 1:
            raise SpanChanged
    if made:
        connection.execute(insert(blocks), [_row(block) for block in made])
    for row, old_checksum in rows:
        _replace_rollup(connection, row, old_checksum)


def _replace_rollup(connection: Connection, row: StoredRollup, old_checksum: int | None) -> None:
    values = {name: getattr(row, name) for name in StoredRollup.__slots__}
    if old_checksum is None:
        done = connection.execute(insert_or_ignore(connection, rollups).values(values))
    else:
        done = connection.execute(
            update(rollups)
            .where(
                rollups.c.server_id == row.server_id,
                rollups.c.layout_id == row.layout_id,
                rollups.c.step_ms == row.step_ms,
                rollups.c.start_ms == row.start_ms,
                rollups.c.checksum == old_checksum,
            )
            .values(values)
        )
    if done.rowcount != 1:
        raise SpanChanged
