"""Frames in and out. The hot path: bytes in, bytes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, bindparam, delete, select

from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server.columns import Times, Values
from bongsu.server.models import frames, layouts
from bongsu.server.storage.dialect import FrameRow, insert_frames
from bongsu.server.storage.layouts import store_layout
from bongsu.server.storage.processes import StoredList, store_process_lists

_DOUBLE = np.dtype("<f8")


@dataclass(slots=True)
class Batch:
    """One request's part of a group commit."""

    server_id: int
    frames: Sequence[Frame]
    layouts: Sequence[Layout] = ()
    process_lists: Sequence[StoredList] = ()


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Frames of one layout as columns. ``values``: (n, k)."""

    times: Times
    values: Values

    @classmethod
    def of(cls, rows: Sequence[Frame]) -> "FrameTable":
        """At least one frame."""
        times = np.array([frame.time_ms for frame in rows], np.int64)
        return cls(times, np.frombuffer(b"".join(frame.values for frame in rows), _DOUBLE).reshape(len(rows), -1))

    def column(self, position: int) -> Values:
        """(n,) values of one series."""
        return self.values[:, position]


class SomeStoredAlready(Exception):
    """Some frames of a group are stored already, which is rare: take it back and count request by request."""


def store(connection: Connection, batches: Sequence[Batch], *, each: bool = False) -> list[int]:
    """Stores the batches. Returns the number of new frames of each; the rest of it was stored already.

    Raises:
        SomeStoredAlready: unless ``each``, when not all frames are new. The transaction must be rolled back.
    """
    for batch in batches:
        for layout in batch.layouts:
            store_layout(connection, batch.server_id, layout)
        if batch.process_lists:
            store_process_lists(connection, batch.server_id, batch.process_lists)
    if each:
        return [insert_frames(connection, _rows([batch])) for batch in batches]
    rows = _rows(batches)
    if insert_frames(connection, rows) != len(rows):
        raise SomeStoredAlready
    return [len(batch.frames) for batch in batches]


def _rows(batches: Sequence[Batch]) -> list[FrameRow]:
    return [
        (batch.server_id, frame.layout_id, frame.time_ms, frame.values) for batch in batches for frame in batch.frames
    ]


def newest_frames(connection: Connection, server_id: int, layout_id: int, count: int = 2) -> list[Frame]:
    """The last ``count`` frames of one layout, newest first."""
    query = (
        select(frames.c.time_ms, frames.c["values"])
        .where(frames.c.server_id == server_id, frames.c.layout_id == layout_id)
        .order_by(frames.c.time_ms.desc())
        .limit(count)
    )
    return [Frame(layout_id, time_ms, values) for time_ms, values in connection.execute(query)]


_FRAMES_BETWEEN = (
    select(frames.c.time_ms, frames.c["values"])
    .where(
        frames.c.server_id == bindparam("server"),
        frames.c.layout_id == bindparam("layout"),
        frames.c.time_ms >= bindparam("start"),
        frames.c.time_ms < bindparam("end"),
    )
    .order_by(frames.c.time_ms)
)


def frames_between(connection: Connection, server_id: int, layout_id: int, start_ms: int, end_ms: int) -> list[Frame]:
    """The frames of one layout with ``start_ms <= time < end_ms``, oldest first."""
    bounds = {"server": server_id, "layout": layout_id, "start": start_ms, "end": end_ms}
    return [Frame(layout_id, time_ms, values) for time_ms, values in connection.execute(_FRAMES_BETWEEN, bounds)]


def delete_frames_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` frames older than ``before_ms``. Returns how many."""
    deleted = 0
    # By layout: time stands third in the key, so each of these is a short range of the index.
    owners = connection.execute(select(layouts.c.server_id, layouts.c.layout_id)).all()
    for server_id, layout_id in owners:
        mine = (frames.c.server_id == server_id, frames.c.layout_id == layout_id)
        old = select(frames.c.time_ms).where(*mine, frames.c.time_ms < before_ms).order_by(frames.c.time_ms)
        times = connection.scalars(old.limit(most - deleted)).all()
        if times:
            connection.execute(delete(frames).where(*mine, frames.c.time_ms <= times[-1]))
            deleted += len(times)
        if deleted >= most:
            break
    return deleted
