"""Makes a database of real readings, as the sealer and the compactor would have left it, ending now.

``DISTINCT`` servers start at different rows of the capture. The other servers are copies of them, so that 9 billion
samples take minutes to make. Queries read as much as if all were different.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from benchmarks.access import agent
from bongsu.core.samples import Frame, HostFacts
from bongsu.core.series import Layout
from bongsu.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from bongsu.server.database.database import SqliteDatabase
from bongsu.server.database.migrations import upgrade
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.archive import ROW_SPAN_MS, SPAN_MS, BlockInfo, StoredBlock, StoredRollup
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.compaction import compact
from bongsu.server.storage.compactor import GRACE_MS, STAGGER_MS
from bongsu.server.storage.sealer import MAX_AGE_MS, seal
from bongsu.simulator import capture

INTERVAL_MS = 10_000
DISTINCT = 20
FLOORS = {0: 0, MINUTE_MS: 0, HOUR_MS: 0}

_BLOCK = (
    "INSERT INTO blocks (server_id, layout_id, start_ms, end_ms, frames, rolled, checksum, head, data) "
    "VALUES (?,?,?,?,?,?,?,?,?)"
)
_ROLLUP = (
    "INSERT INTO rollups (server_id, layout_id, step_ms, start_ms, end_ms, buckets, checksum, head, data) "
    "VALUES (?,?,?,?,?,?,?,?,?)"
)


class ServerArchive:
    """All rows of one server."""

    def __init__(self, layout: Layout, columns: np.ndarray, first_row: int, start_ms: int, now_ms: int) -> None:
        self.layout = layout
        self.blocks: list[StoredBlock] = []
        self.rollups: dict[tuple[int, int], StoredRollup] = {}
        self.frames: list[Frame] = []
        count = (now_ms - start_ms) // INTERVAL_MS
        times = start_ms + np.arange(count, dtype=np.int64) * INTERVAL_MS
        values = np.ascontiguousarray(capture.rows(count, first_row)[:, columns])
        for span_ms in range(start_ms - start_ms % SPAN_MS, now_ms, SPAN_MS):
            rows = slice(*np.searchsorted(times, (span_ms, span_ms + SPAN_MS)))
            if span_ms + SPAN_MS + GRACE_MS + STAGGER_MS < now_ms:
                self._compacted(span_ms, times[rows], values[rows])
            else:
                self._sealed(times[rows], values[rows], now_ms)

    def _compacted(self, span_ms: int, times: np.ndarray, values: np.ndarray) -> None:
        row_ms = span_ms - span_ms % ROW_SPAN_MS[HOUR_MS]
        compacted = compact(
            (0, self.layout.id),
            self.layout,
            span_ms,
            [seal((0, self.layout.id), times[:-1], values[:-1]), seal((0, self.layout.id), times[-1:], values[-1:])],
            None,
            self.rollups.get((HOUR_MS, row_ms)),
            FLOORS,
        )
        self.blocks += compacted.blocks
        for row, _ in compacted.rollups:
            self.rollups[row.step_ms, row.start_ms] = row

    def _sealed(self, times: np.ndarray, values: np.ndarray, now_ms: int) -> None:
        each = MAX_AGE_MS // INTERVAL_MS
        for first in range(0, len(times), each):
            part = slice(first, first + each)
            if times[part][0] < now_ms - MAX_AGE_MS and len(times[part]) == each:
                self.blocks.append(seal((0, self.layout.id), times[part], values[part]))
            else:
                self.frames += [
                    Frame(self.layout.id, int(time_ms), row.tobytes())
                    for time_ms, row in zip(times[part], values[part], strict=True)
                ]

    def write(self, connection: Connection, server_id: int, *, rollups: bool) -> None:
        """Writes all rows under this server id."""
        cursor = connection.connection.cursor()
        cursor.executemany(_BLOCK, (_block_row(server_id, block) for block in self.blocks))
        if rollups:
            names = StoredRollup.__slots__
            cursor.executemany(
                _ROLLUP,
                ((server_id, *(getattr(row, name) for name in names[1:])) for row in self.rollups.values()),
            )
        store(connection, [Batch(server_id, self.frames, [self.layout])])


def _block_row(server_id: int, block: StoredBlock) -> tuple[object, ...]:
    info = [getattr(block.info, name) for name in BlockInfo.__slots__[1:]]
    info[4] = int(info[4])
    return (server_id, *info, block.head, block.data)


async def fill(
    path: Path, servers: int, days: float, now_ms: int, columns: np.ndarray | None = None, *, rollups: bool = True
) -> int:
    """Makes the database. ``columns``: which series of the capture; None: all. Returns the number of samples."""
    positions = np.arange(capture.SERIES) if columns is None else np.flatnonzero(columns)
    layout = Layout.of(tuple(capture.layout().series[position] for position in positions))
    start_ms = (now_ms - int(days * DAY_MS)) // INTERVAL_MS * INTERVAL_MS
    now_ms = now_ms // INTERVAL_MS * INTERVAL_MS
    database = SqliteDatabase(path)
    await database.write(upgrade)
    for distinct in range(min(servers, DISTINCT)):
        archive = ServerArchive(layout, positions, distinct * 37, start_ms, now_ms)
        for number in _of(distinct, servers):

            def write(connection: Connection, archive: ServerArchive = archive, number: int = number) -> None:
                record = add_server(connection, agent(number, INTERVAL_MS), HostFacts(), start_ms)
                archive.write(connection, record.id, rollups=rollups)

            await database.write(write)
    await database.write(lambda connection: connection.exec_driver_sql("ANALYZE"))
    await database.close()
    return servers * ((now_ms - start_ms) // INTERVAL_MS) * len(positions)


def _of(distinct: int, servers: int) -> Iterator[int]:
    yield from range(distinct, servers, DISTINCT)


def make(path: Path, *arguments: object, **options: object) -> int:
    """``fill`` for callers without an event loop."""
    return asyncio.run(fill(path, *arguments, **options))  # type: ignore[arg-type]
