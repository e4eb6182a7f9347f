"""What the database holds in each tier."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bongsu.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from bongsu.server.database.tables import blocks, container_lists, process_lists, rollups
from bongsu.server.storage.frames import frame_totals
from bongsu.server.storage.layouts import load_layouts


@dataclass(slots=True)
class TierStats:
    """``samples``: the number of values, in a rollup of buckets of a series; 0 where neither applies."""

    name: str
    rows: int = 0
    samples: int = 0
    bytes: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None

    @property
    def bytes_per_sample(self) -> float | None:
        return self.bytes / self.samples if self.samples else None

    def daily_bytes(self, began_ms: int) -> int | None:
        """How fast it grows, by what is stored since ``began_ms`` or later; None if that is less than an hour."""
        if self.oldest_ms is None or self.newest_ms is None:
            return None
        length_ms = self.newest_ms - max(self.oldest_ms, began_ms)
        return None if length_ms < HOUR_MS else round(self.bytes * DAY_MS / length_ms)

    def full_bytes(self, began_ms: int, retention_ms: int) -> int | None:
        """What it takes when the whole retention is stored, at the same rate."""
        daily = self.daily_bytes(began_ms)
        return None if daily is None else max(self.bytes, round(daily * retention_ms / DAY_MS))

    def add(self, rows: int, samples: int, size: int, oldest_ms: int, newest_ms: int) -> None:
        """Adds the share of one layout."""
        self.rows += rows
        self.samples += samples
        self.bytes += size
        self.oldest_ms = oldest_ms if self.oldest_ms is None else min(self.oldest_ms, oldest_ms)
        self.newest_ms = newest_ms if self.newest_ms is None else max(self.newest_ms, newest_ms)


def began_ms(tiers: Sequence[TierStats], raw_retention_ms: int, now_ms: int) -> int:
    """When the first sample was taken, as long as all raw samples are still there; else 0.

    Rows of rollups cover a whole span, which begins up to 10 days before the first sample.
    """
    oldest = [stats.oldest_ms for stats in tiers if stats.name in ("frames", "raw") and stats.oldest_ms is not None]
    first_ms = min(oldest, default=0)
    return first_ms if first_ms > now_ms - raw_retention_ms else 0


def tier_stats(connection: Connection) -> list[TierStats]:
    """Frames, raw blocks, minutes, hours and lists. Bytes are the values alone, without keys and indexes."""
    widths = {
        (server_id, layout.id): len(layout.series)
        for server_id, layouts in load_layouts(connection).items()
        for layout in layouts
    }
    tiers = {name: TierStats(name) for name in ("frames", "raw", "1m", "1h", "processes", "containers")}
    for server_id, layout_id, rows, taken, oldest_ms, newest_ms in frame_totals(connection):
        tiers["frames"].add(rows, rows * widths.get((server_id, layout_id), 0), taken, oldest_ms, newest_ms)
    key = (blocks.c.server_id, blocks.c.layout_id)
    size = func.sum(func.length(blocks.c.head) + func.length(blocks.c.data))
    bounds = (func.min(blocks.c.start_ms), func.max(blocks.c.end_ms))
    for row in connection.execute(select(*key, func.count(), func.sum(blocks.c.frames), size, *bounds).group_by(*key)):
        server_id, layout_id, rows, count, taken, oldest_ms, newest_ms = row
        samples = int(count) * widths.get((server_id, layout_id), 0)
        tiers["raw"].add(rows, samples, int(taken), oldest_ms, newest_ms)
    key = (rollups.c.server_id, rollups.c.layout_id)
    size = func.sum(func.length(rollups.c.head) + func.length(rollups.c.data))
    bounds = (func.min(rollups.c.start_ms), func.max(rollups.c.end_ms))
    for name, step_ms in (("1m", MINUTE_MS), ("1h", HOUR_MS)):
        for row in connection.execute(
            select(*key, func.count(), func.sum(rollups.c.buckets), size, *bounds)
            .where(rollups.c.step_ms == step_ms)
            .group_by(*key)
        ):
            server_id, layout_id, rows, count, taken, oldest_ms, newest_ms = row
            samples = int(count) * widths.get((server_id, layout_id), 0)
            tiers[name].add(rows, samples, int(taken), oldest_ms, newest_ms)
    for name, table in (("processes", process_lists), ("containers", container_lists)):
        size = func.sum(func.length(table.c.data))
        bounds = (func.min(table.c.time_ms), func.max(table.c.time_ms))
        rows, taken, oldest_ms, newest_ms = connection.execute(select(func.count(table.c.time_ms), size, *bounds)).one()
        if rows:
            tiers[name].add(rows, 0, int(taken), oldest_ms, newest_ms)
    return list(tiers.values())
