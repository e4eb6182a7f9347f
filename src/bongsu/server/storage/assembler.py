"""Makes frames of parts: of the samples that others than agents send.

A scrape arrives in several requests, so a part waits SETTLE_MS for the others of its time; then all of them become
frames, which everything else works on as on those of agents. What comes later joins the frame of its time, or the block
if that is sealed. The computation runs outside of transactions. One short transaction writes frames and places and
deletes the parts, so a kill at any point leaves either the parts or the frames; it fails if another worker, the sealer
or the compactor has changed what it builds on, and the next run tries again.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.series import Series
from bongsu.core.units import HOUR_MS
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.job import Job, from_anywhere
from bongsu.server.storage.assembled import Changed, Joined, join, read_present, store_assembled
from bongsu.server.storage.assembly import Samples, assemble
from bongsu.server.storage.foreign import (
    Part,
    delete_parts,
    load_definitions,
    load_places,
    oldest_part_ms,
    settled_parts,
    waiting_servers,
)
from bongsu.server.storage.layouts import LayoutKey, intern_layout, load_some_layouts
from bongsu.server.storage.places import Places

logger = logging.getLogger(__name__)

# Prometheus sends what it has after 5 s at the latest.
SETTLE_MS = 6_000
# Parts of one server in one transaction, and their samples: some ms.
PARTS_AT_A_TIME = 200
SAMPLES_AT_A_TIME = 100_000
# Series are stored with the first of their samples; samples without one are kept for this long, and then dropped.
ORPHAN_MS = HOUR_MS
# After so many attempts in vain it is no coincidence, and told as a failure.
MOST_IN_VAIN = 10
# Places of so many servers are kept in memory: 16 bytes for a series.
SERVERS_IN_MEMORY = 2_000


class Assembler(Job):
    """Turns parts into frames."""

    name = "assembler"
    every_seconds = 1

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self._places: dict[int, Places] = {}
        # Until then nothing can have settled, on the clock that never jumps.
        self._rests_until = -math.inf
        # Server id -> how often in a row something had changed meanwhile.
        self._in_vain: Counter[int] = Counter()

    async def run(self, stopping: asyncio.Event) -> None:
        now, now_ms = self.clock.monotonic(), self.clock.now_ms()
        if now < self._rests_until:
            return
        if await self.database.read(oldest_part_ms) is None:
            self._rests_until = now + SETTLE_MS / 1000
            return
        find = partial(waiting_servers, before_ms=now_ms - SETTLE_MS, now_ms=now_ms)
        for server_id in from_anywhere(await self.database.read(find)):
            if self.failures.waits(server_id):
                continue
            with self.failures.isolated(server_id, f"assembling samples of server {server_id}"):
                while not stopping.is_set() and await self._assemble(server_id, now_ms):
                    pass

    async def _assemble(self, server_id: int, now_ms: int) -> bool:
        """Makes frames of some parts of one server. Returns whether there may be more."""
        find = partial(
            settled_parts, server_id=server_id, before_ms=now_ms - SETTLE_MS, now_ms=now_ms, limit=PARTS_AT_A_TIME
        )
        parts = _first_samples(await self.database.read(find))
        if not parts:
            return False
        places = await self._places_of(server_id)
        samples = await asyncio.to_thread(Samples.of, parts)
        unknown = np.unique(samples.numbers[places.find(samples.numbers) < 0]).tolist()
        definitions = await self.database.read(partial(load_definitions, server_id=server_id, numbers=unknown))
        try:
            if len(definitions) < len(unknown):
                samples, parts = self._without_orphans(samples, parts, {*unknown} - definitions.keys(), now_ms)
            if len(samples.numbers):
                await self._write(server_id, parts, samples, places, definitions)
            elif parts:
                await self.database.write(partial(delete_parts, keys=[part.key for part in parts]))
        except Changed:
            self._places.pop(server_id, None)
            self._in_vain[server_id] += 1
            if self._in_vain[server_id] >= MOST_IN_VAIN:
                raise
            return False
        self._in_vain.pop(server_id, None)
        return len(parts) > 0

    def _without_orphans(
        self, samples: Samples, parts: list[Part], orphans: set[int], now_ms: int
    ) -> tuple[Samples, list[Part]]:
        """The parts of which all series are known, and those that have waited long enough, without the samples of
        series that are not."""
        self._places.pop(parts[0].server_id, None)  # another worker may have given them places
        kept = []
        for part in parts:
            missing = np.isin(np.frombuffer(part.numbers, "<i8"), [*orphans]).any()
            if not missing or part.received_ms < now_ms - ORPHAN_MS:
                kept.append(part)
        if not kept:
            return Samples(*(np.empty(0, np.int64),) * 3), []
        samples = Samples.of(kept)
        known = ~np.isin(samples.numbers, [*orphans])
        if not known.all():
            logger.error(
                "server %d: %d samples dropped: nobody knows their series", kept[0].server_id, int((~known).sum())
            )
        return Samples(samples.numbers[known], samples.times[known], samples.bits[known]), kept

    async def _places_of(self, server_id: int) -> Places:
        places = self._places.get(server_id)
        if places is None:

            def load(connection: Connection) -> Places:
                stored = load_places(connection, server_id)
                keys = sorted({(server_id, layout_id) for _, layout_id, _ in stored})
                loaded, broken = load_some_layouts(connection, keys)
                for key, why in broken.items():
                    logger.error("server %d: layout %d cannot be read: %s", *key, why)
                return Places.of(stored, {layout_id: layout for (_, layout_id), layout in loaded.items()})

            places = await self.database.read(load)
            while len(self._places) >= SERVERS_IN_MEMORY:
                del self._places[next(iter(self._places))]
            self._places[server_id] = places
        return places

    async def _write(
        self,
        server_id: int,
        parts: Sequence[Part],
        samples: Samples,
        places: Places,
        definitions: dict[int, Series],
    ) -> None:
        assembly = await asyncio.to_thread(assemble, samples, places, definitions)
        before = {layout.id: layout for layout in places.layouts}
        pending: dict[LayoutKey, Joined] = {}
        for layout_id, rows in assembly.rows.items():
            key = (server_id, layout_id)
            present = await self.database.read(partial(read_present, key=key, rows=rows))
            pending[key] = await asyncio.to_thread(join, key, rows, present)
        await self.database.write(
            partial(store_assembled, parts=parts, given=assembly.given, before=before, pending=pending)
        )
        self._places[server_id] = Places(
            assembly.places.numbers,
            assembly.places.slots,
            assembly.places.positions,
            [intern_layout(layout) for layout in assembly.places.layouts],
        )
        differing = assembly.differing + sum(joined.differing for joined in pending.values())
        if differing:
            logger.warning(
                "server %d: %d samples left out: there are other values of the same series and times",
                server_id,
                differing,
            )


def _first_samples(parts: list[Part]) -> list[Part]:
    """As many of these parts as have SAMPLES_AT_A_TIME, but at least one."""
    samples = 0
    for index, part in enumerate(parts):
        samples += len(part.numbers) // 8
        if samples > SAMPLES_AT_A_TIME:
            return parts[: max(index, 1)]
    return parts
