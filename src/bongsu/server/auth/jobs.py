"""The worker's job for the audit log: deletes what is older than ``retention_audit``.

In small transactions, so that ingest never waits for it. Whatever is cut off is deleted by the next run.
"""

import asyncio

from bongsu.core.units import parse_duration_ms
from bongsu.server.auth.audit import delete_entries_before
from bongsu.server.job import Job

ROWS_PER_TRANSACTION = 100


class AuditRetention(Job):
    """Deletes old entries of the audit log."""

    name = "audit-retention"
    every_seconds = 3_600

    async def run(self, stopping: asyncio.Event) -> None:
        before_ms = self.clock.now_ms() - parse_duration_ms(self.settings.retention_audit)
        while not stopping.is_set():
            count = await self.database.write(
                lambda connection: delete_entries_before(connection, before_ms, ROWS_PER_TRANSACTION)
            )
            if count < ROWS_PER_TRANSACTION:
                return
            await asyncio.sleep(0.01)
