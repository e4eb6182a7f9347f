"""Stores pushes: the layouts, frames and process lists of many requests in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import Connection

from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server.storage.frames import FrameRow, insert_frames
from bongsu.server.storage.layouts import store_layout
from bongsu.server.storage.processes import StoredList, store_process_lists


@dataclass(slots=True)
class Batch:
    """One request's part of a group commit."""

    server_id: int
    frames: Sequence[Frame]
    layouts: Sequence[Layout] = ()
    process_lists: Sequence[StoredList] = ()


class SomeStoredAlready(Exception):
    """Some frames of the group were stored before, which is rare: roll back and count request by request."""


def store(connection: Connection, batches: Sequence[Batch], *, each: bool = False) -> list[int]:
    """Stores the batches. Returns the number of new frames in each; the others were stored before.

    Raises:
        SomeStoredAlready: not all frames are new, and ``each`` is False. The transaction must be rolled back.
    """
    # In the order of the keys, so that two API servers never wait for each other.
    for batch in sorted(batches, key=attrgetter("server_id")):
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
