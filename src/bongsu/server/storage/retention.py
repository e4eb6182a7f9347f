"""Giving up what is old: floors, and deleting what lies before them."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select, tuple_, update

from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import blocks, rollups, tiers
from bongsu.server.storage.archive import TIERS, Key


def floors(connection: Connection) -> dict[int, int]:
    """Tier -> the time before which everything has been given up; 0 where nothing has."""
    found = {row.step_ms: row.floor_ms for row in connection.execute(select(tiers.c.step_ms, tiers.c.floor_ms))}
    return {step_ms: found.get(step_ms, 0) for step_ms in TIERS}


def raise_floor(connection: Connection, step_ms: int, floor_ms: int) -> None:
    """A floor never falls: what was given up does not come back."""
    connection.execute(insert_or_ignore(connection, tiers).values(step_ms=step_ms, floor_ms=floor_ms))
    lower = (tiers.c.step_ms == step_ms, tiers.c.floor_ms < floor_ms)
    connection.execute(update(tiers).where(*lower).values(floor_ms=floor_ms))


def owners(connection: Connection) -> list[Key]:
    """Every (server, layout) that has blocks or rollups. A skip scan: one look into the key each."""
    found: set[Key] = set()
    for table in (blocks, rollups):
        last: Key = (-1, -1)
        pair = tuple_(table.c.server_id, table.c.layout_id)
        query = select(table.c.server_id, table.c.layout_id).order_by(table.c.server_id, table.c.layout_id).limit(1)
        while (row := connection.execute(query.where(pair > last)).first()) is not None:
            last = (row[0], row[1])
            found.add(last)
    return sorted(found)


def delete_blocks_before(connection: Connection, keys: Sequence[Key], floor_ms: int, most: int) -> int:
    """Deletes up to ``most`` blocks that start before ``floor_ms`` and are part of the rollups. Returns how many."""
    deleted = 0
    for server_id, layout_id in keys:
        mine = (blocks.c.server_id == server_id, blocks.c.layout_id == layout_id, blocks.c.rolled == 1)
        query = select(blocks.c.start_ms).where(*mine, blocks.c.start_ms < floor_ms).order_by(blocks.c.start_ms)
        starts = connection.scalars(query.limit(most - deleted)).all()
        if starts:
            deleted += connection.execute(delete(blocks).where(*mine, blocks.c.start_ms.in_(starts))).rowcount
        if deleted >= most:
            break
    return deleted


def delete_rollups_before(connection: Connection, keys: Sequence[Key], step_ms: int, floor_ms: int, most: int) -> int:
    """Deletes up to ``most`` rows of one tier that start before ``floor_ms``. Returns how many."""
    deleted = 0
    for server_id, layout_id in keys:
        mine = (rollups.c.server_id == server_id, rollups.c.layout_id == layout_id, rollups.c.step_ms == step_ms)
        query = select(rollups.c.start_ms).where(*mine, rollups.c.start_ms < floor_ms).order_by(rollups.c.start_ms)
        starts = connection.scalars(query.limit(most - deleted)).all()
        if starts:
            deleted += connection.execute(delete(rollups).where(*mine, rollups.c.start_ms.in_(starts))).rowcount
        if deleted >= most:
            break
    return deleted


def oldest_block_ms(connection: Connection, keys: Sequence[Key]) -> int | None:
    """Start of the oldest block that is part of the rollups."""
    starts = [
        connection.scalar(
            select(func.min(blocks.c.start_ms)).where(
                blocks.c.server_id == server_id, blocks.c.layout_id == layout_id, blocks.c.rolled == 1
            )
        )
        for server_id, layout_id in keys
    ]
    return min((start for start in starts if start is not None), default=None)


def oldest_rollup_ms(connection: Connection, keys: Sequence[Key], step_ms: int) -> int | None:
    """Start of the oldest row of a tier."""
    starts = [
        connection.scalar(
            select(func.min(rollups.c.start_ms)).where(
                rollups.c.server_id == server_id, rollups.c.layout_id == layout_id, rollups.c.step_ms == step_ms
            )
        )
        for server_id, layout_id in keys
    ]
    return min((start for start in starts if start is not None), default=None)
