"""What senders tell about metrics: kept in memory as it is stored, so that only what is new is written."""

import asyncio
from collections.abc import Mapping

from bongsu.core.clock import Clock
from bongsu.core.descriptions import Description, members_of
from bongsu.core.text import visible
from bongsu.core.units import HOUR_MS
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.ingest.definitions import is_metric
from bongsu.server.storage.descriptions import forget_descriptions, load_descriptions, store_descriptions

MOST = 20_000
HELP_CHARACTERS = 1_000
UNIT_CHARACTERS = 64
# Two senders that describe a metric differently do not replace each other's all the time.
REPLACE_MS = HOUR_MS


class Descriptions:
    """The descriptions of metrics. One per process; other API servers may store more."""

    def __init__(self, database: Database, registry: Registry, clock: Clock) -> None:
        # Left out because there are ``MOST`` already.
        self.dropped = 0
        self._database = database
        self._registry = registry
        self._clock = clock
        self._stored: dict[str, Description] | None = None
        # Of what is stored as it was told: a hash of that. Senders tell the same each minute, or with each sample.
        self._as_told: dict[str, int] = {}
        self._changed_ms: dict[str, int] = {}
        self._writing = asyncio.Lock()

    async def learn(self, told: Mapping[str, Description]) -> None:
        """Stores those that are new. Names that no metric may have are left out, long texts are cut.

        Raises:
            Unavailable: the database cannot be written now.
        """
        told = {metric: each for metric, each in told.items() if self._as_told.get(metric) != hash(each)}
        if not told:
            return
        async with self._writing:
            if self._stored is None:
                self._stored = await self._database.read(load_descriptions)
            now_ms = self._clock.now_ms()
            kept = {metric: _cut(each) for metric, each in told.items() if is_metric(metric)}
            new = {
                metric: each
                for metric, each in kept.items()
                if self._stored.get(metric) != each and not 0 <= now_ms - self._changed_ms.get(metric, 0) < REPLACE_MS
            }
            await self._store(new, self._stored, now_ms)
            for metric, each in kept.items():
                if self._stored.get(metric) == each:
                    self._as_told[metric] = hash(told[metric])

    async def _store(self, new: dict[str, Description], stored: dict[str, Description], now_ms: int) -> None:
        if len(stored.keys() | new.keys()) > MOST:
            await self._forget_unused(stored)
            room = MOST - len(stored)
            more = [metric for metric in new if metric not in stored]
            self.dropped += max(len(more) - room, 0)
            for metric in more[room:]:
                del new[metric]
        if new:
            await self._database.write(lambda connection: store_descriptions(connection, new))
            stored |= new
            self._changed_ms |= dict.fromkeys(new, now_ms)

    async def _forget_unused(self, stored: dict[str, Description]) -> None:
        used = {
            metric
            for state in self._registry.by_id.values()
            for layout in state.layouts.values()
            for metric in layout.by_metric
        }
        unused = [metric for metric, told in stored.items() if used.isdisjoint(members_of(metric, told.type))]
        if unused:
            await self._database.write(lambda connection: forget_descriptions(connection, unused))
        for metric in unused:
            del stored[metric]
            self._as_told.pop(metric, None)
            self._changed_ms.pop(metric, None)


def _cut(description: Description) -> Description:
    text = visible(" ".join(description.help.split()))
    return Description(description.type, text[:HELP_CHARACTERS], visible(description.unit)[:UNIT_CHARACTERS])
