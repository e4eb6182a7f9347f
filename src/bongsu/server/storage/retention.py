"""Deletes what is older than its retention, and the oldest data when the database exceeds its budget.

Runs every ten minutes. Each tier has a floor in the database. The job raises the floor first and then deletes what lies
below it, a few rows in a transaction, with a pause after each so that ingest gets its turn. A floor is the start of a
span, so a span is kept or deleted as a whole, and compaction can tell whether to add late frames to a rollup or to make
the rollup again (``storage/compaction.py``). Frames and blocks that are not part of the rollups yet are
never deleted.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, delete, func, select, tuple_, update

from bongsu.core.units import HOUR_MS, MINUTE_MS, format_bytes, parse_duration_ms, parse_size_bytes
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.space import free_bytes, give_back, used_bytes
from bongsu.server.database.tables import blocks, rollups, tiers
from bongsu.server.job import Job
from bongsu.server.storage.archive import RAW, ROW_SPAN_MS, SPAN_MS, TIERS
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.processes import delete_process_lists_before
from bongsu.server.storage.quarantine import delete_quarantined_before

logger = logging.getLogger(__name__)

PROCESS_LISTS_PER_TRANSACTION = 200
# The block of a span and a rollup row have 170 KB each: some 2 MB in a transaction.
ROWS_PER_TRANSACTION = 12
PAUSE_SECONDS = 0.01
# Free pages that are kept: the pages that sealing frees are needed for the next frames within minutes.
RESERVE_BYTES = 16 * 1024 * 1024
RESERVE_SHARE = 0.1
GIVE_BACK_BYTES = 1024 * 1024
# When over the budget, the oldest data is deleted down to this share of it, so that not every run has to delete.
BUDGET_SHARE = 0.98


def floors(connection: Connection) -> dict[int, int]:
    """Tier -> the time before which everything is, or is about to be, deleted; 0 where nothing is."""
    stored = {row.step_ms: row.floor_ms for row in connection.execute(select(tiers.c.step_ms, tiers.c.floor_ms))}
    return {step_ms: stored.get(step_ms, 0) for step_ms in TIERS}


def raise_floor(connection: Connection, step_ms: int, floor_ms: int) -> None:
    """Raises the floor of a tier; a floor never falls, since deleted data does not come back."""
    connection.execute(insert_or_ignore(connection, tiers).values(step_ms=step_ms, floor_ms=floor_ms))
    lower = (tiers.c.step_ms == step_ms, tiers.c.floor_ms < floor_ms)
    connection.execute(update(tiers).where(*lower).values(floor_ms=floor_ms))


def stored_layouts(connection: Connection) -> list[LayoutKey]:
    """Every layout that has blocks or rollups. A skip scan: one look into the index for each."""
    keys: set[LayoutKey] = set()
    for table in (blocks, rollups):
        last: LayoutKey = (-1, -1)
        pair = tuple_(table.c.server_id, table.c.layout_id)
        query = select(table.c.server_id, table.c.layout_id).order_by(table.c.server_id, table.c.layout_id).limit(1)
        while (row := connection.execute(query.where(pair > last)).first()) is not None:
            last = (row[0], row[1])
            keys.add(last)
    return sorted(keys)


def delete_blocks_before(connection: Connection, keys: Sequence[LayoutKey], floor_ms: int, limit: int) -> int:
    """Deletes up to ``limit`` blocks that start before ``floor_ms`` and are part of the rollups. Returns how many."""
    deleted = 0
    for server_id, layout_id in keys:
        of_series = (blocks.c.server_id == server_id, blocks.c.layout_id == layout_id, blocks.c.rolled == 1)
        query = select(blocks.c.start_ms).where(*of_series, blocks.c.start_ms < floor_ms).order_by(blocks.c.start_ms)
        starts = connection.scalars(query.limit(limit - deleted)).all()
        if starts:
            deleted += connection.execute(delete(blocks).where(*of_series, blocks.c.start_ms.in_(starts))).rowcount
        if deleted >= limit:
            break
    return deleted


def delete_rollups_before(
    connection: Connection, keys: Sequence[LayoutKey], step_ms: int, floor_ms: int, limit: int
) -> int:
    """Deletes up to ``limit`` rollup rows of one tier that start before ``floor_ms``. Returns how many."""
    deleted = 0
    for server_id, layout_id in keys:
        of_series = (rollups.c.server_id == server_id, rollups.c.layout_id == layout_id, rollups.c.step_ms == step_ms)
        query = select(rollups.c.start_ms).where(*of_series, rollups.c.start_ms < floor_ms).order_by(rollups.c.start_ms)
        starts = connection.scalars(query.limit(limit - deleted)).all()
        if starts:
            deleted += connection.execute(delete(rollups).where(*of_series, rollups.c.start_ms.in_(starts))).rowcount
        if deleted >= limit:
            break
    return deleted


def oldest_block_ms(connection: Connection, keys: Sequence[LayoutKey]) -> int | None:
    """The start of the oldest block that is part of the rollups."""
    starts = [
        connection.scalar(
            select(func.min(blocks.c.start_ms)).where(
                blocks.c.server_id == server_id, blocks.c.layout_id == layout_id, blocks.c.rolled == 1
            )
        )
        for server_id, layout_id in keys
    ]
    return min((start for start in starts if start is not None), default=None)


def oldest_rollup_ms(connection: Connection, keys: Sequence[LayoutKey], step_ms: int) -> int | None:
    """The start of the oldest rollup row of a tier."""
    starts = [
        connection.scalar(
            select(func.min(rollups.c.start_ms)).where(
                rollups.c.server_id == server_id, rollups.c.layout_id == layout_id, rollups.c.step_ms == step_ms
            )
        )
        for server_id, layout_id in keys
    ]
    return min((start for start in starts if start is not None), default=None)


class Retention(Job):
    """Raises the floors and deletes what lies below them."""

    name = "retention"
    every_seconds = 600

    async def run(self, stopping: asyncio.Event) -> None:
        now_ms = self.clock.now_ms()
        settings = self.settings
        retentions = {RAW: settings.retention_raw, MINUTE_MS: settings.retention_1m, HOUR_MS: settings.retention_1h}
        keys = await self.database.read(stored_layouts)
        deleted = 0
        for tier, duration in retentions.items():
            before_ms = now_ms - parse_duration_ms(duration)
            deleted += await self._delete_below(tier, before_ms - before_ms % _span(tier), keys, stopping)
        lists_ms = now_ms - parse_duration_ms(settings.retention_processes)
        lists = await self._repeat(
            lambda connection: delete_process_lists_before(connection, lists_ms, PROCESS_LISTS_PER_TRANSACTION),
            PROCESS_LISTS_PER_TRANSACTION,
            stopping,
        )
        raw_ms = now_ms - parse_duration_ms(settings.retention_raw)
        await self.database.write(lambda connection: delete_quarantined_before(connection, raw_ms))
        if deleted or lists:
            logger.info("retention: %d blocks and rollups and %d process lists deleted", deleted, lists)
        if settings.storage_budget:
            await self._keep_budget(parse_size_bytes(settings.storage_budget), now_ms, keys, stopping)
        await self._give_back(stopping)

    async def _delete_below(self, tier: int, floor_ms: int, keys: Sequence[LayoutKey], stopping: asyncio.Event) -> int:
        """Raises the floor of a tier and deletes what lies below it. Returns the number of deleted rows."""
        await self.database.write(lambda connection: raise_floor(connection, tier, floor_ms))

        def delete(connection: Connection) -> int:
            if tier == RAW:
                return delete_blocks_before(connection, keys, floor_ms, ROWS_PER_TRANSACTION)
            return delete_rollups_before(connection, keys, tier, floor_ms, ROWS_PER_TRANSACTION)

        return await self._repeat(delete, ROWS_PER_TRANSACTION, stopping)

    async def _repeat(self, delete: Callable[[Connection], int], limit: int, stopping: asyncio.Event) -> int:
        deleted = 0
        while not stopping.is_set():
            count = await self.database.write(delete)
            deleted += count
            if count < limit:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        return deleted

    async def _keep_budget(
        self, budget_bytes: int, now_ms: int, keys: Sequence[LayoutKey], stopping: asyncio.Event
    ) -> None:
        """Deletes the oldest raw spans of all servers, then the oldest minutes, then hours, until the rest fits."""
        used = await self.database.read(used_bytes)
        if used <= budget_bytes:
            return
        before = used
        for tier in (RAW, MINUTE_MS, HOUR_MS):
            while used > budget_bytes * BUDGET_SHARE and not stopping.is_set():
                oldest_ms = await self.database.read(partial(_oldest, keys=keys, tier=tier))
                if oldest_ms is None or oldest_ms + _span(tier) > now_ms:
                    break
                floor_ms = oldest_ms - oldest_ms % _span(tier) + _span(tier)
                await self._delete_below(tier, floor_ms, keys, stopping)
                used = await self.database.read(used_bytes)
        logger.warning(
            "the database exceeded its budget of %s: deleted %s of the oldest samples",
            format_bytes(budget_bytes),
            format_bytes(before - used),
        )

    async def _give_back(self, stopping: asyncio.Event) -> None:
        used = await self.database.read(used_bytes) if self.database.dialect == "sqlite" else 0
        reserve = RESERVE_BYTES + int(used * RESERVE_SHARE)
        while not stopping.is_set():
            spare = await self.database.read(free_bytes) - reserve
            if spare < GIVE_BACK_BYTES:
                break
            await self.database.write(lambda connection: give_back(connection, GIVE_BACK_BYTES))
            await asyncio.sleep(PAUSE_SECONDS)


def _span(tier: int) -> int:
    return SPAN_MS if tier == RAW else ROW_SPAN_MS[tier]


def _oldest(connection: Connection, keys: Sequence[LayoutKey], tier: int) -> int | None:
    return oldest_block_ms(connection, keys) if tier == RAW else oldest_rollup_ms(connection, keys, tier)
