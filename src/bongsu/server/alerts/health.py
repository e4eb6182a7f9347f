"""The state of the alerts themselves, for ``GET /api/health``: when they were evaluated, what was left out, the queue.

It is read at most every few seconds, however often people ask.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.units import DAY_MS
from bongsu.server.alerts.queries.evaluations import load_evaluations
from bongsu.server.alerts.queries.queue import QueueState, queue_state
from bongsu.server.database.database import Database

logger = logging.getLogger(__name__)

READ_EVERY_SECONDS = 5.0
# A database that does not answer must not keep people from seeing the rest.
READ_SECONDS = 2.0
# Dead letters of the last day are a problem; older ones are only listed.
DEAD_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class AlertsState:
    """``evaluated_ms``: when all shards had last been evaluated; None: never. ``skipped``: (kind, id, why) of what was
    left out. ``blind``: ids of servers whose samples cannot be placed in time. ``untold``: firing alerts that no
    channel takes."""

    evaluated_ms: int | None
    queue: QueueState
    skipped: list[tuple[str, int, str]] = field(default_factory=list)
    blind: list[int] = field(default_factory=list)
    untold: int = 0


class AlertsHealth:
    """Reads the state and keeps it for a moment."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._state: AlertsState | None = None
        self._read_at = -float("inf")

    async def state(self) -> AlertsState | None:
        """The state; None if it cannot be read."""
        if self._clock.monotonic() - self._read_at >= READ_EVERY_SECONDS:
            self._read_at = self._clock.monotonic()
            since_ms = self._clock.now_ms() - DEAD_MS
            try:
                async with asyncio.timeout(READ_SECONDS):
                    self._state = await self._database.read(lambda connection: _read(connection, since_ms))
            except Exception as error:
                logger.debug("the state of the alerts cannot be read: %s", type(error).__name__)
                self._state = None
        return self._state


def _read(connection: Connection, dead_since_ms: int) -> AlertsState:
    evaluations = load_evaluations(connection)
    # Of several workers, each reports on its own shards, and each shard has the report of its worker.
    skipped = {tuple(entry) for evaluation in evaluations for entry in evaluation.report["skipped"]}
    reports = {(evaluation.evaluated_ms, str(evaluation.report)): evaluation.report for evaluation in evaluations}
    return AlertsState(
        min((evaluation.evaluated_ms for evaluation in evaluations), default=None),
        queue_state(connection, dead_since_ms),
        sorted(skipped),
        sorted({server_id for evaluation in evaluations for server_id in evaluation.report["blind"]}),
        sum(report["untold"] for report in reports.values()),
    )
