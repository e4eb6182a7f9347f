"""The worker's job for deleted servers: deletes all that is stored of them.

Rows are found outside of transactions that write; each such transaction deletes a few by their keys, with a pause after
it so that ingest gets its turn. What a kill interrupts is continued by the next run.

Alerts, notifications and silences are deleted SETTLED_MS after the server. By then the evaluation has ended the alerts,
and whoever was told of one has been told of its end; and nothing that began before the deletion is still running.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection

from bongsu.core.units import MINUTE_MS
from bongsu.server.alerts.queries.deletion import delete_alerts, delete_vain_silences, some_alerts
from bongsu.server.job import Job
from bongsu.server.storage.deletion import ROWS, delete_some, deleted, forget_deleted, some_rows

logger = logging.getLogger(__name__)

SETTLED_MS = 10 * MINUTE_MS
PAUSE_SECONDS = 0.01


class Deletion(Job):
    """Deletes what is stored of deleted servers."""

    name = "deletion"
    every_seconds = 10

    async def run(self, stopping: asyncio.Event) -> None:
        for server_id, deleted_ms in (await self.database.read(deleted)).items():
            if stopping.is_set():
                return
            if self.failures.waits(server_id):
                continue
            with self.failures.isolated(server_id, f"deleting what is stored of server {server_id}"):
                settled = self.clock.now_ms() - deleted_ms >= SETTLED_MS
                await self._delete(server_id, stopping, settled=settled)

    async def _delete(self, server_id: int, stopping: asyncio.Event, *, settled: bool) -> None:
        rows = 0
        for table in ROWS:
            find = partial(some_rows, table=table, server_id=server_id)
            rows += await self._delete_all(find, partial(delete_some, table=table), stopping)
        if settled:
            rows += await self._delete_all(partial(some_alerts, server_id=server_id), delete_alerts, stopping)
            if not stopping.is_set():
                await self.database.write(delete_vain_silences)
                await self.database.write(partial(forget_deleted, server_id=server_id))
        if rows:
            logger.info("server %d was deleted: %d rows of it are gone", server_id, rows)

    async def _delete_all(
        self,
        find: Callable[[Connection], list[Any]],
        delete: Callable[..., int],
        stopping: asyncio.Event,
    ) -> int:
        count = 0
        while not stopping.is_set() and (keys := await self.database.read(find)):
            count += await self.database.write(partial(delete, keys=keys))
            await asyncio.sleep(PAUSE_SECONDS)
        return count
