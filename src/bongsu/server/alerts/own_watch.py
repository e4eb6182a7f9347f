"""Alerts about Bongsu itself: the API server evaluates its own problems with the rules on ``bongsu_problem``.

The worker cannot report its own death, so this runs in the API server, beside the requests: the problems of
``/api/health`` become series of the server with the id 0, and go through the ordinary cycle and pipeline. While the
worker is silent or cannot send, the API server sends what is queued too; the leases of the channels keep both from
sending the same. If the API server is dead, the worker finds every server down. If the database is unreachable, only
the heartbeat helps (``alert_heartbeat_url``). Of several API servers, the one with the lease does all this.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection

from bongsu.alerts.conditions import PROBLEM
from bongsu.alerts.cycle import Cycle
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.ports import Report, RuleBook
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
from bongsu.server.database.leases import OwnShare

logger = logging.getLogger(__name__)

# With these problems nothing is sent unless the API server does it.
UNSENT = frozenset({"worker_silent", "job_failing", "job_late"})

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

    async def fill(self, fleet: Fleet, now_ms: int, report: Report) -> None:
        for server_id in fleet.unfilled():
            fleet.fill(server_id, {}, now_ms)


class OwnWatch:
    """Evaluates every ``alert_interval``, and sends when the worker does not."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, problems: Problems) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._problems = problems
        self._interval_ms = parse_duration_ms(settings.alert_interval)
        self._share = OwnShare(database, clock, lease_ms=3 * self._interval_ms)
        self._source = _ProblemSource(self._interval_ms)
        self._cycle: Cycle | None = None
        self._delivery: AlertDelivery | None = None

    async def run(self) -> None:
        """Runs until cancelled."""
        failed = False
        try:
            while True:
                await asyncio.sleep(self._interval_ms / 1000)
                try:
                    await self.look()
                    failed = False
                except Exception:
                    if not failed:
                        logger.exception("the alerts about Bongsu itself cannot be evaluated; trying again")
                    failed = True
        finally:
            await self._stop_sending()
            await self._share.give_up()

    async def look(self) -> None:
        """Evaluates the present problems once, and starts to send, or stops."""
        self._source.present = await self._problems()
        shards = await self._share.renew()
        if not shards:
            # Another API server has the lease; what is known here grows old.
            self._cycle = None
        else:
            if self._cycle is None:
                store = _OwnStore(self._database, self._share)
                self._cycle = Cycle(store, self._source, self._interval_ms)
            await self._cycle.run(shards, self._clock.now_ms())
        if not UNSENT.isdisjoint(self._source.present):
            if self._delivery is None:
                self._delivery = AlertDelivery(self._settings, self._database, self._clock)
            await self._delivery.run(asyncio.Event())
        else:
            await self._stop_sending()

    async def _stop_sending(self) -> None:
        if self._delivery is not None:
            await self._delivery.close()
            self._delivery = None
