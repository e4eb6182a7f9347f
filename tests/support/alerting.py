"""A worker's evaluation and delivery without their loops: tests call them."""

import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.channels.client import guarded_client
from bongsu.alerts.cycle import Cycle
from bongsu.alerts.ports import Changes
from bongsu.core.samples import Process, ProcessList, Push
from bongsu.server.alerts import source
from bongsu.server.alerts.delivery import Delivery
from bongsu.server.alerts.source import DatabaseSource
from bongsu.server.alerts.store import DatabaseStore
from bongsu.server.config import Settings
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.leases import OwnShare, Shares
from bongsu.server.vault import open_vault
from tests.support.app import RunningApp
from tests.support.pushes import a_frame, a_push

CPU_RULE = {
    "name": "CPU",
    "condition": {"type": "threshold", "metric": "cpu_usage_ratio", "function": "last", "window": "1m", "value": 0.9},
}


@dataclass
class Watcher:
    """A worker with its own leases, state and delivery."""

    app: RunningApp
    database: Database
    shares: Shares
    cycle: Cycle
    delivery: Delivery
    # Of the API server, whose loop does not follow the clock of the tests; None: it is away.
    presence: OwnShare | None

    async def evaluate(self) -> Changes:
        """Runs one cycle, and sends what it queued."""
        if self.presence is not None:
            await self.presence.announce()
        await self.shares.renew()
        changes = await self.cycle.run(self.shares.shards, self.app.clock.now_ms())
        await self.deliver()
        return changes

    async def deliver(self) -> None:
        await self.delivery.start_due()
        await self.delivery.settle()


@contextlib.asynccontextmanager
async def watching(app: RunningApp, folder: Path, **settings: Any) -> AsyncIterator[Watcher]:
    """A worker beside the API server, with its own database connections."""
    worker_settings = Settings(data_dir=folder, public_url="https://monitor.example", **settings)
    database = open_database(worker_settings.effective_database_url)
    shares = Shares("alerts", database, app.clock)
    cycle = Cycle(DatabaseStore(database, shares), DatabaseSource(database, worker_settings.limits))
    # However slow the machine is, a cycle fills all windows: what takes too long is left to the next one.
    patient = patch.object(source, "FILL_SECONDS", math.inf)
    async with guarded_client(Addresses(worker_settings.alert_allowed_addresses)) as http:
        delivery = Delivery(worker_settings, database, app.clock, open_vault(folder), lambda: http)
        try:
            with patient:
                yield Watcher(app, database, shares, cycle, delivery, OwnShare(database, app.clock))
        finally:
            await delivery.stop()
            await database.close()


async def send_cpu(app: RunningApp, value: float, *, name: str = "web-1", behind: float = 0) -> None:
    """Sends one frame that was sampled ``behind`` seconds ago."""
    frame = a_frame(app.clock.now_ms() - round(behind * 1000), (value, 1024.0, 100.0))
    push: Push = a_push([frame], name=name)
    push.process_lists = [
        ProcessList(
            frame.time_ms, [Process(7, "backup", "root", 1.75, 300 << 20), Process(8, "idle", "root", 0.01, 1 << 20)]
        )
    ]
    assert (await app.push(push)).status_code == 200


async def make(app: RunningApp, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """POSTs a rule, channel or silence, which must succeed."""
    response = await app.client.post(f"/api/alerts/{path}", json=document)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def a_rule(app: RunningApp, **changes: Any) -> dict[str, Any]:
    return await make(app, "rules", CPU_RULE | changes)


async def a_webhook(app: RunningApp, url: str, **changes: Any) -> dict[str, Any]:
    document = {"name": "hook", "type": "webhook", "default": True, "config": {"url": url, "secret": "s3cret"}}
    return await make(app, "channels", document | changes)
