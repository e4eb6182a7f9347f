"""Evaluates rules, and sends what they lead to.

Evaluation runs every ``alert_interval`` on the shards that this worker has the lease of; a cycle that is cut off, or
that fails, is done again from what is stored. Delivery looks twice a second for what is due. After each cycle that went
well the heartbeat is sent, so that its absence tells when Bongsu itself is down.
"""

import asyncio
import logging
from pathlib import Path

import httpx

from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS
from bongsu.alerts.cycle import Cycle
from bongsu.core.clock import Clock
from bongsu.core.errors import ConfigError
from bongsu.core.units import parse_duration_ms
from bongsu.server.alerts.delivery import Delivery
from bongsu.server.alerts.queries.alerts import delete_alerts_before
from bongsu.server.alerts.queries.notifications import delete_notifications_before
from bongsu.server.alerts.queries.rules import import_rules
from bongsu.server.alerts.rules_file import read_rules
from bongsu.server.alerts.source import DatabaseSource
from bongsu.server.alerts.store import DatabaseStore
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.database.leases import LEASE_MS, Shares
from bongsu.server.job import Job
from bongsu.server.vault import open_vault

logger = logging.getLogger(__name__)

DELIVERY_SECONDS = 0.5
ROWS_PER_TRANSACTION = 100


class AlertEvaluation(Job):
    """Rules against samples."""

    name = "alerts"

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self.every_seconds = parse_duration_ms(settings.alert_interval) / 1000
        lease_ms = max(LEASE_MS, round(2_000 * self.every_seconds))
        self.shares = Shares("alerts", database, clock, lease_ms=lease_ms)
        self.cycle = Cycle(DatabaseStore(database, self.shares), DatabaseSource(database, settings.limits))
        self._imported = False
        self._pinged = -float("inf")
        self._pinging: asyncio.Task[None] | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        if not self._imported:
            await self._import()
            self._imported = True
        shards = await self.shares.renew()
        if not shards:
            return
        await self.cycle.run(shards, self.clock.now_ms())
        # One worker is enough to say that evaluation goes on.
        if 0 in shards:
            self._heartbeat()

    async def close(self) -> None:
        # Another worker, or this one after its restart, need not wait for the leases to run out.
        await self.shares.give_up()
        if self._pinging is not None:
            await self._pinging

    async def _import(self) -> None:
        file = self.settings.alert_rules_file
        try:
            rules = read_rules(Path(file) if file else None)
        except ConfigError as error:
            # What is stored goes on being watched: a misspelt file must not end all alerts.
            logger.error("rules were not imported: %s", error.message)
            return
        done = await self.database.write(lambda connection: import_rules(connection, rules, self.clock.now_ms()))
        if done.created or done.updated:
            logger.info("rules: %d created, %d updated", len(done.created), len(done.updated))
        if done.kept:
            logger.info("rules changed by hand stay as they are: %s", ", ".join(done.kept))

    def _heartbeat(self) -> None:
        if not self.settings.alert_heartbeat_url:
            return
        every = parse_duration_ms(self.settings.alert_heartbeat_interval) / 1000
        now = self.clock.monotonic()
        if now - self._pinged >= every and (self._pinging is None or self._pinging.done()):
            self._pinged = now
            self._pinging = asyncio.create_task(self.ping(), name="heartbeat")

    async def ping(self) -> None:
        """Tells whoever waits for it that evaluation is healthy. The URL may hold a token: it is not logged."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS), httpx.AsyncClient() as http:
                (await http.get(self.settings.alert_heartbeat_url)).raise_for_status()
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            logger.warning("the heartbeat was not taken: %s", type(error).__name__)


class AlertDelivery(Job):
    """Notifications to channels: starts what is due, one task for each channel; the tasks go on between two runs."""

    name = "notifications"
    every_seconds = DELIVERY_SECONDS

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self._http: httpx.AsyncClient | None = None
        self._delivery: Delivery | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        if self._delivery is None:
            self._http = httpx.AsyncClient()
            vault = open_vault(self.settings.data_dir, self.settings.secret_key)
            self._delivery = Delivery(self.settings, self.database, self.clock, vault, self._http)
        await self._delivery.start_due()

    async def close(self) -> None:
        if self._delivery is not None:
            await self._delivery.stop()
        if self._http is not None:
            await self._http.aclose()


class AlertRetention(Job):
    """Alerts that were over, and notifications that were sent, longer than ``retention_alerts`` ago."""

    name = "alert-retention"
    every_seconds = 3_600

    async def run(self, stopping: asyncio.Event) -> None:
        before_ms = self.clock.now_ms() - parse_duration_ms(self.settings.retention_alerts)
        for delete in (delete_alerts_before, delete_notifications_before):
            while not stopping.is_set():
                count = await self.database.write(
                    lambda connection, delete=delete: delete(connection, before_ms, ROWS_PER_TRANSACTION)  # type: ignore[misc]
                )
                if count < ROWS_PER_TRANSACTION:
                    break
                await asyncio.sleep(0.01)
