"""Statements on the table ``quarantined_frames``: frames that do not fit their layout, kept for a person to look at.

They could never be sealed or read. They are deleted like other raw samples, after ``retention_raw``.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from bongsu.core.samples import Frame
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import quarantined_frames
from bongsu.server.storage.frames import delete_frames
from bongsu.server.storage.layouts import LayoutKey


def quarantine_frames(connection: Connection, key: LayoutKey, frames: Sequence[Frame], found_ms: int) -> None:
    """Moves frames of one layout into quarantine."""
    rows = [
        {
            "server_id": key[0],
            "layout_id": key[1],
            "time_ms": frame.time_ms,
            "values": frame.values,
            "found_ms": found_ms,
        }
        for frame in frames
    ]
    connection.execute(insert_or_ignore(connection, quarantined_frames), rows)
    for frame in frames:
        delete_frames(connection, key, frame.time_ms, frame.time_ms)


def quarantined(connection: Connection) -> list[tuple[int, int, int]]:
    """(server id, layout id, frames in quarantine) of each layout that has some."""
    key = (quarantined_frames.c.server_id, quarantined_frames.c.layout_id)
    query = select(*key, func.count()).group_by(*key).order_by(*key)
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def delete_quarantined_before(connection: Connection, before_ms: int) -> int:
    """Deletes what was found before a time. Returns how many frames."""
    return connection.execute(delete(quarantined_frames).where(quarantined_frames.c.found_ms < before_ms)).rowcount
