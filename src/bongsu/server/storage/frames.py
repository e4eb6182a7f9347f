"""Frames in and out. The hot path: bytes in, bytes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, select

from bongsu.arrays import Times, Values
from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server.database.dialect import FrameRow, insert_frames
from bongsu.server.database.tables import frames
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


def columns_of(times: Sequence[int], packed: Sequence[bytes]) -> tuple[Times, Values]:
    """Times (n,) and values (n, k) of frames of one layout; at least one."""
    values = np.frombuffer(b"".join(packed), _DOUBLE).reshape(len(times), -1)
    return np.array(times, np.int64), values


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


def times_between(connection: Connection, key: tuple[int, int], start_ms: int, end_ms: int) -> list[int]:
    """Times of the frames of one layout with ``start_ms <= time < end_ms``, oldest first. Reads the index only."""
    query = (
        select(frames.c.time_ms)
        .where(
            frames.c.server_id == key[0],
            frames.c.layout_id == key[1],
            frames.c.time_ms >= start_ms,
            frames.c.time_ms < end_ms,
        )
        .order_by(frames.c.time_ms)
    )
    return list(connection.scalars(query))
