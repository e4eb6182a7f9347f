"""How far sealing and rolling up are behind."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bongsu.server.database.tables import blocks, quarantined_frames
from bongsu.server.storage.frames import oldest_unsealed


@dataclass(frozen=True, slots=True)
class Backlog:
    """Times of the oldest frame that is not sealed and of the oldest block that is not part of the rollups, and the
    number of frames in quarantine. None: there is no such frame or block."""

    unsealed_since_ms: int | None
    unrolled_since_ms: int | None
    quarantined_frames: int


def backlog(connection: Connection) -> Backlog:
    """One look into the index of frames for each layout: 1,000 layouts take some milliseconds, however many frames."""
    return Backlog(
        min(oldest_unsealed(connection).values(), default=None),
        connection.scalar(select(func.min(blocks.c.start_ms)).where(blocks.c.rolled == 0)),
        connection.scalar(select(func.count()).select_from(quarantined_frames)) or 0,
    )
