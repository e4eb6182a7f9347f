"""Blocks and rollups in the database.

Time is divided into spans of SPAN_MS. A block lies within one span, so a late frame changes one span of one layout: its
blocks, its minutes, and a few buckets of its hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, ScalarSelect, and_, bindparam, func, select, true

from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.database.dialect import KeyedQuery, fetch_rows
from bongsu.server.database.tables import blocks, frames, layouts, rollups
from bongsu.server.storage.blocks import Head, Packed
from bongsu.server.storage.frames import newest_frame_ms, oldest_frame_times
from bongsu.server.storage.layouts import LayoutKey

SPAN_MS = 6 * HOUR_MS
RAW = 0
# What one rollup row covers: 360 minutes or 240 hours.
ROW_SPAN_MS = {MINUTE_MS: SPAN_MS, HOUR_MS: 240 * HOUR_MS}
TIERS = (RAW, *ROW_SPAN_MS)


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """A block row without its data."""

    server_id: int
    layout_id: int
    start_ms: int
    end_ms: int
    frames: int
    rolled: bool
    checksum: int


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block row. ``head`` and ``data`` are in the format of ``storage/blocks.py``."""

    info: BlockInfo
    head: bytes
    data: bytes

    def opened(self) -> Head:
        """Raises CorruptBlock."""
        return Head.open(self.head, self.info.checksum)


@dataclass(frozen=True, slots=True)
class StoredRollup:
    """A rollup row. ``head`` and ``data`` are in the format of ``storage/rollup_blocks.py``."""

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


def make_block(key: LayoutKey, start_ms: int, end_ms: int, count: int, packed: Packed, *, rolled: bool) -> StoredBlock:
    """The row of an encoded block."""
    return StoredBlock(BlockInfo(*key, start_ms, end_ms, count, rolled, packed.checksum), packed.head, packed.data)


def same_block(info: BlockInfo) -> ColumnElement[bool]:
    """The condition that a row of ``blocks`` is this one."""
    return and_(
        blocks.c.server_id == info.server_id,
        blocks.c.layout_id == info.layout_id,
        blocks.c.start_ms == info.start_ms,
    )


def block_row(block: StoredBlock) -> dict[str, object]:
    """Column name -> value."""
    info = {name: getattr(block.info, name) for name in BlockInfo.__slots__}
    return info | {"rolled": int(block.info.rolled), "head": block.head, "data": block.data}


_KEY = ("server_id", "layout_id")
_INFO = tuple(blocks.c[name] for name in BlockInfo.__slots__)
# A block that reaches into the range starts at most one span before it.
_IN_RANGE = (
    blocks.c.server_id == bindparam("server"),
    blocks.c.layout_id == bindparam("layout"),
    blocks.c.start_ms >= bindparam("span"),
    blocks.c.start_ms < bindparam("end"),
    blocks.c.end_ms >= bindparam("start"),
)
_INFOS = select(*_INFO).where(*_IN_RANGE).order_by(blocks.c.start_ms)
_BLOCKS = select(*_INFO, blocks.c.head, blocks.c.data).where(*_IN_RANGE).order_by(blocks.c.start_ms)


def _bounds(key: LayoutKey, start_ms: int, end_ms: int) -> dict[str, int]:
    span = start_ms - start_ms % SPAN_MS
    return {"server": key[0], "layout": key[1], "span": span, "start": start_ms, "end": end_ms}


def _info(row: Any) -> BlockInfo:
    server_id, layout_id, start_ms, end_ms, count, rolled, checksum = row[:7]
    return BlockInfo(server_id, layout_id, start_ms, end_ms, count, bool(rolled), checksum)


def infos_between(connection: Connection, key: LayoutKey, start_ms: int, end_ms: int) -> list[BlockInfo]:
    """The blocks of one layout that may hold a frame with ``start_ms <= time < end_ms``."""
    return [_info(row) for row in fetch_rows(connection, _INFOS, _bounds(key, start_ms, end_ms))]


_BLOCK_IN_RANGE = "t.start_ms >= {span} AND t.start_ms < {end} AND t.end_ms >= {start}"
_BLOCK_COLUMNS = "t.start_ms, t.end_ms, t.frames, t.rolled, t.checksum, t.head"
_HEADS_OF = KeyedQuery(
    _BLOCK_COLUMNS, "blocks", _BLOCK_IN_RANGE, "t.start_ms", key=_KEY, parameters=("span", "start", "end")
)
_NOT_ROLLED_OF = KeyedQuery(
    "t.start_ms",
    "blocks",
    f"{_BLOCK_IN_RANGE} AND t.rolled = 0",
    "t.start_ms",
    key=_KEY,
    parameters=("span", "start", "end"),
)


def heads_of(
    connection: Connection, keys: Sequence[LayoutKey], start_ms: int, end_ms: int
) -> list[tuple[BlockInfo, bytes]]:
    """The blocks of these layouts that may hold a frame with ``start_ms <= time < end_ms``, and their heads, layout by
    layout."""
    return [
        (_info((*keys[place], *row[:5])), row[5])
        for place, rows in _HEADS_OF.rows(connection, keys, start_ms - start_ms % SPAN_MS, start_ms, end_ms)
        for row in rows
    ]


def starts_of_not_rolled(
    connection: Connection, keys: Sequence[LayoutKey], start_ms: int, end_ms: int
) -> list[tuple[LayoutKey, int]]:
    """Layouts and starts of the blocks in a range of which there are no rollups yet."""
    return [
        (keys[place], row[0])
        for place, rows in _NOT_ROLLED_OF.rows(connection, keys, start_ms - start_ms % SPAN_MS, start_ms, end_ms)
        for row in rows
    ]


def blocks_between(connection: Connection, key: LayoutKey, start_ms: int, end_ms: int) -> list[StoredBlock]:
    """The same blocks, whole."""
    return [
        StoredBlock(_info(row), row[7], row[8])
        for row in fetch_rows(connection, _BLOCKS, _bounds(key, start_ms, end_ms))
    ]


def _of_layout(key: LayoutKey) -> ColumnElement[bool]:
    return and_(blocks.c.server_id == key[0], blocks.c.layout_id == key[1])


def newest_times(connection: Connection, keys: Sequence[LayoutKey]) -> dict[LayoutKey, int]:
    """The time of each layout's last frame, sealed or not; layouts without frames are left out."""
    newest: dict[LayoutKey, int] = {}
    for key in keys:
        newest_block_ms = connection.scalar(select(func.max(blocks.c.end_ms)).where(_of_layout(key)))
        times = [time_ms for time_ms in (newest_frame_ms(connection, key), newest_block_ms) if time_ms is not None]
        if times:
            newest[key] = max(times)
    return newest


def layout_ends(connection: Connection) -> dict[LayoutKey, int]:
    """When each layout had its last sample; those without any are left out. Looks into indexes: 1,200 layouts take
    10 ms."""

    def of_layout(table: FromClause) -> ColumnElement[bool]:
        return and_(table.c.server_id == layouts.c.server_id, table.c.layout_id == layouts.c.layout_id)

    def last_rollup(step_ms: int) -> ScalarSelect[int]:
        query = select(rollups.c.end_ms).where(of_layout(rollups), rollups.c.step_ms == step_ms)
        return query.order_by(rollups.c.start_ms.desc()).limit(1).scalar_subquery()

    of_blocks = blocks.alias()
    newest_ms = select(func.max(of_blocks.c.start_ms)).where(of_layout(of_blocks)).scalar_subquery()
    # A block that starts earlier in the same span may end later.
    last_block = select(func.max(blocks.c.end_ms)).where(
        of_layout(blocks), blocks.c.start_ms >= newest_ms - newest_ms % SPAN_MS
    )
    query = select(
        layouts.c.server_id,
        layouts.c.layout_id,
        select(func.max(frames.c.time_ms)).where(of_layout(frames)).scalar_subquery(),
        last_block.scalar_subquery(),
        *map(last_rollup, ROW_SPAN_MS),
    )
    ends: dict[LayoutKey, int] = {}
    for server_id, layout_id, *times in connection.execute(query):
        known = [time_ms for time_ms in times if time_ms is not None]
        if known:
            ends[server_id, layout_id] = max(known)
    return ends


def newest_block(connection: Connection, key: LayoutKey) -> StoredBlock | None:
    """The block with the latest frame of one layout."""
    of_layout = _of_layout(key)
    newest_ms = connection.scalar(
        select(blocks.c.start_ms).where(of_layout).order_by(blocks.c.start_ms.desc()).limit(1)
    )
    if newest_ms is None:
        return None
    span_ms = newest_ms - newest_ms % SPAN_MS
    query = select(*_INFO, blocks.c.head, blocks.c.data).where(of_layout, blocks.c.start_ms >= span_ms)
    row = connection.execute(query.order_by(blocks.c.end_ms.desc()).limit(1)).one()
    return StoredBlock(_info(row), row[7], row[8])


def oldest_samples(connection: Connection) -> dict[int, int]:
    """Server id -> time of its oldest sample, as precisely as its oldest row tells. Reads indexes only."""
    oldest = oldest_frame_times(connection)
    # Hours need no look: what is older than all of these belongs to a server that was first seen then.
    minutes = rollups.c.step_ms == MINUTE_MS
    for table, where in ((blocks, true()), (rollups, minutes)):
        query = select(table.c.server_id, func.min(table.c.start_ms)).where(where).group_by(table.c.server_id)
        for server_id, first_ms in connection.execute(query):
            oldest[server_id] = min(first_ms, oldest.get(server_id, first_ms))
    return oldest


_ROLLUPS = (
    select(*(rollups.c[name] for name in StoredRollup.__slots__))
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


def rollups_between(
    connection: Connection, key: LayoutKey, step_ms: int, start_ms: int, end_ms: int
) -> list[StoredRollup]:
    """The rollup rows of one layout that may hold a bucket that overlaps ``[start_ms, end_ms)``."""
    bounds = _rollup_bounds(key, step_ms, start_ms, end_ms)
    return [StoredRollup(*row) for row in fetch_rows(connection, _ROLLUPS, bounds)]


_ROLLUP_HEADS_OF = KeyedQuery(
    "t.step_ms, t.start_ms, t.end_ms, t.buckets, t.checksum, t.head",
    "rollups",
    "t.step_ms = {step} AND t.start_ms > {span} AND t.start_ms < {end} AND t.end_ms > {start}",
    "t.start_ms",
    key=_KEY,
    parameters=("step", "span", "start", "end"),
)


def rollup_heads_of(
    connection: Connection, keys: Sequence[LayoutKey], step_ms: int, start_ms: int, end_ms: int
) -> list[StoredRollup]:
    """The rollup rows of these layouts that may hold a bucket that overlaps ``[start_ms, end_ms)``, without their data,
    layout by layout."""
    span_ms = start_ms - ROW_SPAN_MS[step_ms]
    return [
        StoredRollup(*(*keys[place], *row, b""))
        for place, rows in _ROLLUP_HEADS_OF.rows(connection, keys, step_ms, span_ms, start_ms, end_ms)
        for row in rows
    ]


def _rollup_bounds(key: LayoutKey, step_ms: int, start_ms: int, end_ms: int) -> dict[str, int]:
    span_ms = start_ms - ROW_SPAN_MS[step_ms]
    return {"server": key[0], "layout": key[1], "step": step_ms, "span": span_ms, "start": start_ms, "end": end_ms}
