"""Blocks in and out of the database."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from bongsu.core.samples import Frame
from bongsu.server.models import blocks, frames


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block row. ``data`` has the form of ``storage/blocks.py``."""

    server_id: int
    layout_id: int
    start_ms: int
    end_ms: int
    frames: int
    checksum: int
    data: bytes

    @property
    def intact(self) -> bool:
        """Whether the data is what was stored."""
        return zlib.crc32(self.data) == self.checksum


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Frames of one layout that still are rows."""

    server_id: int
    layout_id: int
    count: int
    oldest_ms: int


class FramesChanged(Exception):
    """Frames came into the span that was being sealed; it must be read again."""


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
        row = {name: getattr(block, name) for name in StoredBlock.__slots__}
        connection.execute(insert(blocks).values(row))


# Made once: a query of 20 servers runs it 20 times, and making it anew takes twice as long as running it.
_BLOCKS_BETWEEN = (
    select(*(blocks.c[name] for name in StoredBlock.__slots__))
    .where(
        blocks.c.server_id == bindparam("server"),
        blocks.c.layout_id == bindparam("layout"),
        blocks.c.end_ms >= bindparam("start"),
        blocks.c.start_ms < bindparam("end"),
    )
    .order_by(blocks.c.start_ms)
)


def blocks_between(
    connection: Connection, server_id: int, layout_id: int, start_ms: int, end_ms: int
) -> list[StoredBlock]:
    """The blocks of one layout that hold a frame with ``start_ms <= time < end_ms``, or may."""
    bounds = {"server": server_id, "layout": layout_id, "start": start_ms, "end": end_ms}
    return [StoredBlock(*row) for row in connection.execute(_BLOCKS_BETWEEN, bounds)]


def newest_block(connection: Connection, server_id: int, layout_id: int) -> StoredBlock | None:
    """The block with the latest frame of one layout."""
    query = (
        select(*(blocks.c[name] for name in StoredBlock.__slots__))
        .where(blocks.c.server_id == server_id, blocks.c.layout_id == layout_id)
        .order_by(blocks.c.end_ms.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else StoredBlock(*row)


def delete_blocks_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` blocks whose last frame is older than ``before_ms``. Returns how many."""
    keys = (blocks.c.server_id, blocks.c.layout_id, blocks.c.start_ms)
    old = connection.execute(select(*keys).where(blocks.c.end_ms < before_ms).limit(most)).all()
    for server_id, layout_id, start_ms in old:
        connection.execute(
            delete(blocks).where(
                blocks.c.server_id == server_id, blocks.c.layout_id == layout_id, blocks.c.start_ms == start_ms
            )
        )
    return len(old)
