"""How far sealing and rolling up are behind."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bongsu.server.database.tables import blocks, quarantined_frames
from bongsu.server.storage.foreign import oldest_part_ms
from bongsu.server.storage.frames import oldest_unsealed


@dataclass(frozen=True, slots=True)
class Backlog:
    """When the oldest part was received that is not a frame yet; times of the oldest frame that is not sealed and of
    the oldest block that is not part of the rollups; the number of frames in quarantine. None: there is none."""

    unassembled_since_ms: int | None
    unsealed_since_ms: int | None
    unrolled_since_ms: int | None
    quarantined_frames: int


def backlog(connection: Connection) -> Backlog:
    """One look into the index of frames for each layout: 1,000 layouts take some milliseconds, however many frames."""
    return Backlog(
        oldest_part_ms(connection),
        min(oldest_unsealed(connection).values(), default=None),
        connection.scalar(select(func.min(blocks.c.start_ms)).where(blocks.c.rolled == 0)),
        connection.scalar(select(func.count()).select_from(quarantined_frames)) or 0,
    )
