"""Retention on SQLite with many layouts: how long it takes, and how long it holds the write lock at a time.

Each of ``--layouts`` layouts has two blocks and two rollup rows that are too old, and two that are not; each of a tenth
as many servers has 200 process lists, half of them too old. The rows are small: what grows with the number of layouts
is finding them. Also writes once when all these servers were last seen. For comparison, as many transactions follow
that change a single row: what is left of the longest is the disk's.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, insert, update

from benchmarks.report import parser, report
from bongsu.core.clock import SystemClock
from bongsu.core.samples import AgentIdentity, HostFacts
from bongsu.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from bongsu.server.config import Settings
from bongsu.server.database.database import SqliteDatabase
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.tables import blocks, process_lists, rollups, servers
from bongsu.server.fleet.loading import store_last_seen
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.retention import Retention

T = TypeVar("T")
LISTS = 200


class TimedDatabase(SqliteDatabase):
    """Notes how long each write transaction takes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[float] = []

    def write_now(self, function: Callable[[Connection], T]) -> T:
        started = time.perf_counter()
        try:
            return super().write_now(function)
        finally:
            self.writes.append(time.perf_counter() - started)


def fill(connection: Connection, layouts: int, now_ms: int) -> None:
    """The rows."""
    span = now_ms - now_ms % SPAN_MS
    raw, minutes, lists = [], [], []
    for layout_id in range(1, layouts + 1):
        key = {"server_id": layout_id // 10 + 1, "layout_id": layout_id, "checksum": 0, "head": b"h", "data": b"d"}
        for days in (9, 8, 2, 1):
            start_ms = span - days * DAY_MS
            raw.append({**key, "start_ms": start_ms, "end_ms": start_ms + HOUR_MS, "frames": 360, "rolled": 1})
        for days in (33, 32, 2, 1):
            start_ms = span - days * DAY_MS
            minutes.append(
                {**key, "step_ms": MINUTE_MS, "start_ms": start_ms, "end_ms": start_ms + HOUR_MS, "buckets": 60}
            )
    for server_id in range(1, layouts // 10 + 1):
        for number in range(LISTS):
            age_ms = 8 * DAY_MS - number * MINUTE_MS if number % 2 else number * MINUTE_MS
            lists.append({"server_id": server_id, "time_ms": now_ms - age_ms, "data": b"list"})
    connection.execute(insert(blocks), raw)
    connection.execute(insert(rollups), minutes)
    connection.execute(insert(process_lists), lists)


def touch_one(connection: Connection, number: int) -> None:
    """Changes one row."""
    connection.execute(update(servers).where(servers.c.id == 1).values(last_seen_ms=number))


async def measure(layouts: int) -> dict[str, float]:
    """One run of the job."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="bongsu-retention-") as folder:
        database = TimedDatabase(Path(folder) / "bongsu.db")
        await database.write(upgrade)
        await database.write(lambda connection: fill(connection, layouts, clock.now_ms()))
        registry = Registry()
        for number in range(layouts // 10):
            agent = AgentIdentity(f"agent-{number}", f"server-{number}")
            record = await database.write(
                lambda connection, agent=agent: add_server(connection, agent, HostFacts(), clock.now_ms())  # type: ignore[misc]
            )
            registry.add(record).last_seen_ms = clock.now_ms() + 1
        database.writes.clear()
        started = time.perf_counter()
        await Retention(Settings(data_dir=Path(folder)), database, clock).run(asyncio.Event())
        took = time.perf_counter() - started
        writes = sorted(database.writes)
        database.writes.clear()
        await store_last_seen(database, registry)
        seen = sorted(database.writes)
        database.writes.clear()
        for number in range(len(writes)):
            await database.write(partial(touch_one, number=number))
            await asyncio.sleep(0.001)
        single = sorted(database.writes)
        await database.close()
    return {
        "layouts": layouts,
        "run_seconds": took,
        "write_transactions": len(writes),
        "write_lock_seconds": sum(writes),
        "write_median_ms": writes[len(writes) // 2] * 1000,
        "write_p99_ms": writes[len(writes) * 99 // 100] * 1000,
        "write_longest_ms": writes[-1] * 1000,
        "writes_over_10_ms": sum(took > 0.010 for took in writes),
        "single_row_median_ms": single[len(single) // 2] * 1000,
        "single_row_longest_ms": single[-1] * 1000,
        "single_rows_over_10_ms": sum(took > 0.010 for took in single),
        "last_seen_longest_ms": seen[-1] * 1000,
        "last_seen_total_ms": sum(seen) * 1000,
    }


def main() -> None:
    """Prints the report."""
    arguments = parser(__doc__)
    arguments.add_argument("--layouts", type=int, default=10_000)
    options = arguments.parse_args()
    report("retention", asyncio.run(measure(options.layouts)), as_json=options.json)


if __name__ == "__main__":
    main()
