"""The worker's jobs for alerts: evaluation, delivery and retention.

The evaluation runs every ``alert_interval`` on the shards whose leases this worker holds. A cycle that fails or is cut
off is repeated from what is stored. The delivery checks every second which notifications are due.
"""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.cycle import Cycle
from bongsu.alerts.rules_file import RETIRED, read_rules
from bongsu.core.clock import Clock
from bongsu.core.errors import ConfigError
from bongsu.core.units import parse_duration_ms
from bongsu.server.alerts.delivery import Delivery
from bongsu.server.alerts.heartbeat import Heartbeat
from bongsu.server.alerts.queries.alerts import delete_alerts_before
from bongsu.server.alerts.queries.notifications import delete_notifications_before
from bongsu.server.alerts.queries.rules import forget_deleted_rules, import_rules
from bongsu.server.alerts.source import DatabaseSource
from bongsu.server.alerts.store import DatabaseStore
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.database.leases import LEASE_MS, Shares
from bongsu.server.fleet.events import delete_events_before
from bongsu.server.job import Job
from bongsu.server.vault import open_vault

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

DELIVERY_SECONDS = 1.0
ROWS_PER_TRANSACTION = 100


class AlertEvaluation(Job):
    """Imports the rules file once, then evaluates all rules in every run."""

    name = "alerts"

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self.every_seconds = parse_duration_ms(settings.alert_interval) / 1000
        lease_ms = max(LEASE_MS, round(2_000 * self.every_seconds))
        self.shares = Shares("alerts", database, clock, lease_ms=lease_ms)
        self.cycle = Cycle(
            DatabaseStore(database, self.shares),
            DatabaseSource(database, settings.limits),
            round(1_000 * self.every_seconds),
        )
        self._imported = self._import_failed = False
        self._heartbeat = Heartbeat(settings, clock)

    async def run(self, stopping: asyncio.Event) -> None:
        if not self._imported:
            try:
                await self._import_rules()
                self._imported = True
            except Exception:
                # The stored rules stay in force; the import is tried again. Logged once.
                if not self._import_failed:
                    logger.exception("cannot import the rules; trying again")
                self._import_failed = True
        shards = await self.shares.renew()
        if not shards:
            return
        await self.cycle.run(shards, self.clock.now_ms())
        # One of several workers sends the heartbeat.
        if 0 in shards:
            self._heartbeat.send_if_due()

    async def close(self) -> None:
        # So that the next worker need not wait for the leases to expire.
        await self.shares.give_up()
        await self._heartbeat.settle()

    async def _import_rules(self) -> None:
        file = self.settings.alert_rules_file
        try:
            rules = read_rules(Path(file) if file else None)
        except ConfigError as error:
            # The stored rules stay in force: a typo in the file must not end all alerts.
            logger.error("cannot import the rules: %s", error.message)
            return
        now_ms, retired = self.clock.now_ms(), () if file else RETIRED
        imported = await self.database.write(
            lambda connection: import_rules(connection, rules, now_ms, retired=retired)
        )
        if imported.created or imported.updated:
            logger.info("rules imported: %d created, %d updated", len(imported.created), len(imported.updated))
        if imported.kept:
            logger.info("rules not imported because people changed or deleted them: %s", ", ".join(imported.kept))


class AlertDelivery(Job):
    """Starts the tasks that send notifications, one per channel; they keep running between two runs of the job."""

    name = "notifications"
    every_seconds = DELIVERY_SECONDS

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self._http: httpx.AsyncClient | None = None
        self._delivery: Delivery | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        if self._delivery is None:
            vault = open_vault(self.settings.data_dir, self.settings.secret_key)
            self._delivery = Delivery(self.settings, self.database, self.clock, vault, self._client)
        await self._delivery.start_due()

    def _client(self) -> "httpx.AsyncClient":
        if self._http is None:
            from bongsu.alerts.channels.client import guarded_client

            self._http = guarded_client(Addresses(self.settings.alert_allowed_addresses))
        return self._http

    async def close(self) -> None:
        if self._delivery is not None:
            await self._delivery.stop()
        if self._http is not None:
            await self._http.aclose()


class AlertRetention(Job):
    """Deletes resolved alerts, old notifications and events after ``retention_alerts``."""

    name = "alert-retention"
    every_seconds = 3_600

    async def run(self, stopping: asyncio.Event) -> None:
        before_ms = self.clock.now_ms() - parse_duration_ms(self.settings.retention_alerts)
        for delete in (delete_alerts_before, delete_notifications_before, delete_events_before):
            while not stopping.is_set():
                count = await self.database.write(
                    lambda connection, delete=delete: delete(connection, before_ms, ROWS_PER_TRANSACTION)  # type: ignore[misc]
                )
                if count < ROWS_PER_TRANSACTION:
                    break
                await asyncio.sleep(0.01)
        await self.database.write(forget_deleted_rules)
