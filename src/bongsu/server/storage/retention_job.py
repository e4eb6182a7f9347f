"""Gives up what is older than its retention, and the oldest of all when the database passes its budget.

Every ten minutes. Each tier has a floor in the database: first it is raised, then what lies before it is deleted, some
rows a transaction, with a pause after each so that ingest gets its turn. A floor stands at the start of a span, so a
span is there whole or not at all, and late frames know whether to be added to a rollup or to make it anew
(``server/compaction.py``). Frames and blocks that are not part of the rollups yet are never deleted.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from bongsu.core.units import HOUR_MS, MINUTE_MS, format_bytes, parse_duration_ms, parse_size_bytes
from bongsu.server.database.space import free_bytes, give_back, used_bytes
from bongsu.server.job import Job
from bongsu.server.storage.archive import RAW, ROW_SPAN_MS, SPAN_MS, Key
from bongsu.server.storage.processes import delete_process_lists_before
from bongsu.server.storage.retention import (
    delete_blocks_before,
    delete_rollups_before,
    oldest_block_ms,
    oldest_rollup_ms,
    owners,
    raise_floor,
)

logger = logging.getLogger(__name__)

PROCESS_LISTS_PER_TRANSACTION = 200
# A block of a span has 170 KB, a rollup row as much: some 2 MB.
ROWS_PER_TRANSACTION = 12
PAUSE_SECONDS = 0.01
# Free pages that stay: what sealing frees, the next frames need again within minutes.
RESERVE_BYTES = 16 * 1024 * 1024
RESERVE_SHARE = 0.1
GIVE_BACK_BYTES = 1024 * 1024
# Over the budget the oldest tier shrinks until the database is this much below it, so that not every run has to.
BUDGET_SHARE = 0.98


class Retention(Job):
    """Raises the floors and deletes what lies before them."""

    name = "retention"
    every_seconds = 600

    async def run(self, stopping: asyncio.Event) -> None:
        now_ms = self.clock.now_ms()
        settings = self.settings
        kept = {RAW: settings.retention_raw, MINUTE_MS: settings.retention_1m, HOUR_MS: settings.retention_1h}
        keys = await self.database.read(owners)
        deleted = 0
        for tier, duration in kept.items():
            before_ms = now_ms - parse_duration_ms(duration)
            deleted += await self._give_up(tier, before_ms - before_ms % _span(tier), keys, stopping)
        lists_ms = now_ms - parse_duration_ms(settings.retention_processes)
        lists = await self._repeat(
            lambda connection: delete_process_lists_before(connection, lists_ms, PROCESS_LISTS_PER_TRANSACTION),
            PROCESS_LISTS_PER_TRANSACTION,
            stopping,
        )
        if deleted or lists:
            logger.info("retention: %d blocks and rollups and %d process lists deleted", deleted, lists)
        if settings.storage_budget:
            await self._keep_budget(parse_size_bytes(settings.storage_budget), now_ms, keys, stopping)
        await self._give_back(stopping)

    async def _give_up(self, tier: int, floor_ms: int, keys: Sequence[Key], stopping: asyncio.Event) -> int:
        """Everything of a tier before a time. Returns how many rows that deleted."""
        await self.database.write(lambda connection: raise_floor(connection, tier, floor_ms))

        def delete(connection: Connection) -> int:
            if tier == RAW:
                return delete_blocks_before(connection, keys, floor_ms, ROWS_PER_TRANSACTION)
            return delete_rollups_before(connection, keys, tier, floor_ms, ROWS_PER_TRANSACTION)

        return await self._repeat(delete, ROWS_PER_TRANSACTION, stopping)

    async def _repeat(self, delete: Callable[[Connection], int], most: int, stopping: asyncio.Event) -> int:
        deleted = 0
        while not stopping.is_set():
            count = await self.database.write(delete)
            deleted += count
            if count < most:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        return deleted

    async def _keep_budget(self, budget_bytes: int, now_ms: int, keys: Sequence[Key], stopping: asyncio.Event) -> None:
        """Gives up the oldest raw spans of all servers, then the oldest minutes, then hours, until the rest fits."""
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
                await self._give_up(tier, floor_ms, keys, stopping)
                used = await self.database.read(used_bytes)
        logger.warning(
            "the database passed its budget of %s: %s of the oldest samples given up",
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


def _oldest(connection: Connection, keys: Sequence[Key], tier: int) -> int | None:
    return oldest_block_ms(connection, keys) if tier == RAW else oldest_rollup_ms(connection, keys, tier)
