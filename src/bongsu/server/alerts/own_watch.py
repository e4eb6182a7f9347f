"""Alerts about Bongsu itself: the API server evaluates its own problems with the rules on ``bongsu_problem``.

The worker cannot report its own death, so this runs in the API server, beside the requests: the problems of
``/api/health`` become series of the server with the id 0, and go through the ordinary cycle and pipeline. While the
worker is silent or cannot send, the API server sends what is queued too; the leases of the channels keep both from
sending the same. Of several API servers, the one with the lease does all this. While there is none, the worker has the
lease and tells of that (``ApiWatch``); it does not take the servers for silent then. If the database is unreachable,
only the heartbeat helps (``alert_heartbeat_url``).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping

from bongsu.alerts.conditions import PROBLEM
from bongsu.alerts.cycle import Cycle
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.ports import Report, RuleBook
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import SeriesKey
from bongsu.alerts.watched import BONGSU, WatchedServer
from bongsu.core.clock import Clock
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Layout, Series
from bongsu.core.units import parse_duration_ms
from bongsu.server.alerts.jobs import AlertDelivery
from bongsu.server.alerts.store import DatabaseStore
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.database.leases import OwnShare, api_servers
from bongsu.server.job import Job

logger = logging.getLogger(__name__)

# With these problems nothing is sent unless the API server does it.
UNSENT = frozenset({"worker_silent", "job_failing", "job_late"})

# No API server takes in samples.
API_SILENT = "api_silent"

# Returns the codes of the present problems.
Problems = Callable[[], Awaitable[Collection[str]]]


def _series(code: str) -> Series:
    return Series(PROBLEM, (("code", code),))


class _OwnStore(DatabaseStore):
    """Knows only the rules on problems, and reports nothing: a report would look like one of the worker."""

    async def rules(self, version: object) -> RuleBook | None:
        book = await super().rules(version)
        if book is None:
            return None
        enabled = {
            rule_id: rule
            for rule_id, rule in book.enabled.items()
            if rule.series_condition is not None and rule.series_condition.metric == PROBLEM
        }
        return RuleBook(book.version, enabled, book.known, {})

    async def report(self, report: Report, now_ms: int) -> None:
        return


class _ProblemSource:
    """Each problem that there has been since the start, or that has an alert, is a series: 1 present, 0 passed."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._codes: set[str] = set()
        self._layout = Layout.of(())
        self.present: Collection[str] = ()

    async def refresh(
        self, fleet: Fleet, shards: Collection[int], now_ms: int, open_keys: Collection[SeriesKey], report: Report
    ) -> None:
        texts = (re.search(r'code="(\w+)"', key.series) for key in open_keys)
        self._codes |= {text[1] for text in texts if text} | set(self.present)
        self._layout = Layout.of(tuple(map(_series, sorted(self._codes))))
        fleet.set_servers([WatchedServer(BONGSU, "Bongsu", {}, self._interval_ms, now_ms)], {BONGSU: [self._layout]})

    async def take_new(self, fleet: Fleet, now_ms: int) -> None:
        values = pack([float(dict(series.labels)["code"] in self.present) for series in self._layout.series])
        fleet.add_frames([(BONGSU, Frame(self._layout.id, now_ms, values))], now_ms)

    async def listening(self, now_ms: int) -> bool:
        return True

    async def answers(
        self, fleet: Fleet, rules: Mapping[int, Rule], now_ms: int, report: Report
    ) -> Mapping[int, Mapping[SeriesKey, float]]:
        return {}

    async def fill(self, fleet: Fleet, now_ms: int, report: Report) -> None:
        for server_id in fleet.unfilled():
            fleet.fill(server_id, {}, now_ms)


class OwnAlerts:
    """The rules on problems, evaluated while this process has their lease."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.interval_ms = parse_duration_ms(settings.alert_interval)
        self.share = OwnShare(database, clock, lease_ms=3 * self.interval_ms)
        self._database = database
        self._clock = clock
        self._source = _ProblemSource(self.interval_ms)
        self._cycle: Cycle | None = None

    async def evaluate(self, present: Collection[str]) -> None:
        """Evaluates the present problems once, unless another process has the lease."""
        self._source.present = present
        shards = await self.share.renew()
        if not shards:
            # What is known here grows old.
            self._cycle = None
            return
        if self._cycle is None:
            self._cycle = Cycle(_OwnStore(self._database, self.share), self._source, self.interval_ms)
        await self._cycle.run(shards, self._clock.now_ms())

    async def give_up(self) -> None:
        """Leaves the lease to others, who continue from what is stored."""
        self._cycle = None
        await self.share.give_up()


class OwnWatch:
    """Evaluates every ``alert_interval``, and sends when the worker does not."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, problems: Problems) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._problems = problems
        self._alerts = OwnAlerts(settings, database, clock)
        self._delivery: AlertDelivery | None = None

    async def run(self) -> None:
        """Runs until cancelled."""
        failed = False
        # At the start it only says that it is there: many problems of a start pass within seconds.
        step: Callable[[], Awaitable[None]] = self._alerts.share.announce
        try:
            while True:
                try:
                    await step()
                    failed = False
                except Exception:
                    if not failed:
                        logger.exception("the alerts about Bongsu itself cannot be evaluated; trying again")
                    failed = True
                await asyncio.sleep(self._alerts.interval_ms / 1000)
                step = self.look
        finally:
            await self._stop_sending()
            await self._alerts.give_up()

    async def look(self) -> None:
        """Evaluates the present problems once, and starts to send, or stops."""
        # First, since the worker depends on it, whatever fails after.
        await self._alerts.share.announce()
        present = await self._problems()
        await self._alerts.evaluate(present)
        if not UNSENT.isdisjoint(present):
            if self._delivery is None:
                self._delivery = AlertDelivery(self._settings, self._database, self._clock)
            await self._delivery.run(asyncio.Event())
        else:
            await self._stop_sending()

    async def _stop_sending(self) -> None:
        if self._delivery is not None:
            await self._delivery.close()
            self._delivery = None


class ApiWatch(Job):
    """The worker tells that no API server takes in samples."""

    name = "api-watch"

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self._alerts = OwnAlerts(settings, database, clock)
        self.every_seconds = self._alerts.interval_ms / 1000

    async def run(self, stopping: asyncio.Event) -> None:
        if not await self.database.read(lambda connection: api_servers(connection, self.clock.now_ms())):
            await self._alerts.evaluate({API_SILENT})
        elif self._alerts.share.shards:
            # The API server ends the alert.
            await self._alerts.give_up()

    async def close(self) -> None:
        if self._alerts.share.shards:
            await self._alerts.give_up()
