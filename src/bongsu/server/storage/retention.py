"""Deletes what is older than its retention, and the oldest data when the database exceeds its budget.

Runs every ten minutes. It raises the floor of each tier first (``storage/floors.py``) and then deletes what lies below
it. What to delete is found outside of transactions that write, a few hundred layouts at a time; each such transaction
deletes a few rows by their keys, with a pause after each so that ingest gets its turn. Frames and blocks that are not
part of the rollups yet are never deleted, and neither are the other samples of their span.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Table

from bongsu.core.units import HOUR_MS, MINUTE_MS, format_bytes, parse_duration_ms, parse_size_bytes
from bongsu.server.database.space import free_bytes, give_back, used_bytes
from bongsu.server.database.tables import container_lists, process_lists
from bongsu.server.job import Job
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.expired import delete_rows, oldest_row_ms, rows_below, stored_layouts
from bongsu.server.storage.floors import floor_at, raise_floor, span_of
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.lists import delete_lists, list_owners, list_times_before
from bongsu.server.storage.quarantine import delete_quarantined_before

logger = logging.getLogger(__name__)

# A read of so many layouts takes some 20 ms.
KEYS_PER_READ = 200
# Of one layout: 7 days of spans that a worker left behind which did not run.
ROWS_PER_READ = 100
LISTS_PER_TRANSACTION = 200
# The block of a span and a rollup row have 170 KB each: some 2 MB in a transaction.
ROWS_PER_TRANSACTION = 12
PAUSE_SECONDS = 0.01
# Free pages that are kept: the pages that sealing frees are needed for the next frames within minutes.
RESERVE_BYTES = 16 * 1024 * 1024
RESERVE_SHARE = 0.1
GIVE_BACK_BYTES = 1024 * 1024
# When over the budget, the oldest data is deleted down to this share of it, so that not every run has to delete.
BUDGET_SHARE = 0.98


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
            floor_ms = floor_at(tier, parse_duration_ms(duration), now_ms)
            deleted += await self._delete_below(tier, floor_ms, keys, stopping)
        lists_ms = now_ms - parse_duration_ms(settings.retention_processes)
        lists = [await self._delete_lists(table, lists_ms, stopping) for table in (process_lists, container_lists)]
        raw_ms = now_ms - parse_duration_ms(settings.retention_raw)
        await self.database.write(lambda connection: delete_quarantined_before(connection, raw_ms))
        if deleted or any(lists):
            message = "retention: %d blocks and rollups, %d process lists and %d container lists deleted"
            logger.info(message, deleted, *lists)
        if settings.storage_budget:
            await self._keep_budget(parse_size_bytes(settings.storage_budget), now_ms, keys, stopping)
        await self._give_back(stopping)

    async def _delete_below(self, tier: int, floor_ms: int, keys: Sequence[LayoutKey], stopping: asyncio.Event) -> int:
        """Raises the floor of a tier and deletes what lies below it. Returns the number of deleted rows."""
        await self.database.write(lambda connection: raise_floor(connection, tier, floor_ms))
        deleted = 0
        for first in range(0, len(keys), KEYS_PER_READ):
            some = keys[first : first + KEYS_PER_READ]
            with self.failures.isolated((tier, first), f"deleting old rows of {some[0]} and the next layouts"):
                deleted += await self._delete_rows_below(tier, floor_ms, some, stopping)
        return deleted

    async def _delete_rows_below(
        self, tier: int, floor_ms: int, keys: Sequence[LayoutKey], stopping: asyncio.Event
    ) -> int:
        find = partial(rows_below, tier=tier, keys=keys, floor_ms=floor_ms, limit=ROWS_PER_READ)
        deleted, gone = 0, 1
        while gone and not stopping.is_set():
            gone = 0
            rows = await self.database.read(find)
            for start in range(0, len(rows), ROWS_PER_TRANSACTION):
                some = rows[start : start + ROWS_PER_TRANSACTION]
                gone += await self.database.write(partial(delete_rows, tier=tier, rows=some))
                await asyncio.sleep(PAUSE_SECONDS)
            deleted += gone
        return deleted

    async def _delete_lists(self, table: Table, before_ms: int, stopping: asyncio.Event) -> int:
        deleted = 0
        for server_id in await self.database.read(partial(list_owners, table=table)):
            find = partial(
                list_times_before,
                table=table,
                server_id=server_id,
                before_ms=before_ms,
                limit=LISTS_PER_TRANSACTION,
            )
            while not stopping.is_set() and (times := await self.database.read(find)):
                delete = partial(delete_lists, table=table, server_id=server_id, last_ms=times[-1])
                deleted += await self.database.write(delete)
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
                oldest_ms = await self.database.read(partial(oldest_row_ms, tier=tier, keys=keys))
                if oldest_ms is None or oldest_ms + span_of(tier) > now_ms:
                    break
                floor_ms = oldest_ms - oldest_ms % span_of(tier) + span_of(tier)
                if not await self._delete_below(tier, floor_ms, keys, stopping):
                    break  # late frames hold what is left
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
