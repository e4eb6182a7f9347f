"""The floor of each tier: everything before it is deleted, or about to be.

A floor is the start of a span, so a span is kept or deleted as a whole.
"""

from sqlalchemy import Connection, select, update

from bongsu.core.units import MINUTE_MS
from bongsu.server.database.dialect import fetch_rows, insert_or_ignore
from bongsu.server.database.tables import tiers
from bongsu.server.storage.archive import RAW, ROW_SPAN_MS, SPAN_MS, TIERS

# A frame on the edge is refused this long before the floor reaches it, so that it never arrives after the samples that
# it might be a copy of were deleted.
MARGIN_MS = 10 * MINUTE_MS
_FLOORS = select(tiers.c.step_ms, tiers.c.floor_ms)


def span_of(tier: int) -> int:
    """What is deleted at a time in a tier."""
    return SPAN_MS if tier == RAW else ROW_SPAN_MS[tier]


def floor_at(tier: int, retention_ms: int, now_ms: int) -> int:
    """Where the floor of a tier should be."""
    before_ms = now_ms - retention_ms
    return before_ms - before_ms % span_of(tier)


def oldest_accepted(stored_floor_ms: int, retention_ms: int, now_ms: int) -> int:
    """The earliest time that a frame may have. ``stored_floor_ms``: of raw samples, as the database has it.

    Below the floor of the raw samples nobody can tell whether a frame was stored before.
    """
    return max(stored_floor_ms, floor_at(RAW, retention_ms, now_ms + MARGIN_MS))


def floors(connection: Connection) -> dict[int, int]:
    """Tier -> its floor; 0 where nothing was deleted yet."""
    stored = {row[0]: row[1] for row in fetch_rows(connection, _FLOORS, {})}
    return {step_ms: stored.get(step_ms, 0) for step_ms in TIERS}


def raise_floor(connection: Connection, step_ms: int, floor_ms: int) -> None:
    """Raises the floor of a tier; a floor never falls, since deleted data does not come back."""
    connection.execute(insert_or_ignore(connection, tiers).values(step_ms=step_ms, floor_ms=floor_ms))
    lower = (tiers.c.step_ms == step_ms, tiers.c.floor_ms < floor_ms)
    connection.execute(update(tiers).where(*lower).values(floor_ms=floor_ms))
