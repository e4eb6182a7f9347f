"""GET /api/storage: what the database holds, how long it is kept, and what it will take."""

import asyncio
import contextlib
import shutil

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.units import parse_duration_ms, parse_size_bytes
from bongsu.server.api.access import Admin
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.config import Settings
from bongsu.server.database.space import file_bytes
from bongsu.server.storage.stats import TierStats, began_ms, tier_stats

router = APIRouter(prefix="/api/storage", tags=["storage"])


class Tier(BaseModel):
    """What is stored in one resolution, of all servers. Bytes are the values alone, without keys and indexes."""

    name: str = Field(description="raw, 1m, 1h, processes or containers; frames: raw samples that are not sealed yet.")
    retention: str | None = Field(description="null: until the worker seals them.", examples=["7d"])
    retention_ms: int | None
    rows: int
    samples: int
    bytes: int
    bytes_per_sample: float | None
    oldest_ms: int | None
    newest_ms: int | None
    daily_bytes: int | None = Field(description="By what is stored; null: less than an hour is stored.")
    full_bytes: int | None = Field(description="When the whole retention is stored, at the present rate.")


class Storage(BaseModel):
    """The state of the storage."""

    time_ms: int
    database_bytes: int = Field(description="On disk, with keys, indexes and free space.")
    budget_bytes: int | None = Field(description="Setting `storage_budget`; null: none.")
    disk_free_bytes: int | None = Field(description="Of the disk with the data directory; null: it cannot be read.")
    tiers: list[Tier]


@router.get("", operation_id="get_storage", summary="Measure what is stored")
async def storage(services: ServicesDep, user: Admin) -> Storage:
    """Reads the size of every row of the metrics."""
    settings = services.settings

    def measure(connection: Connection) -> tuple[int, list[TierStats]]:
        return file_bytes(connection), tier_stats(connection)

    database_bytes, tiers = await services.database.read(measure)
    now_ms = services.clock.now_ms()
    first_ms = began_ms(tiers, parse_duration_ms(settings.retention_raw), now_ms)
    free: int | None = None
    with contextlib.suppress(OSError):
        free = (await asyncio.to_thread(shutil.disk_usage, settings.data_dir)).free
    return Storage(
        time_ms=now_ms,
        database_bytes=database_bytes,
        budget_bytes=parse_size_bytes(settings.storage_budget) if settings.storage_budget else None,
        disk_free_bytes=free,
        tiers=[_tier(stats, _retentions(settings).get(stats.name), first_ms) for stats in tiers],
    )


def _retentions(settings: Settings) -> dict[str, str]:
    return {
        "raw": settings.retention_raw,
        "1m": settings.retention_1m,
        "1h": settings.retention_1h,
        "processes": settings.retention_processes,
        "containers": settings.retention_processes,
    }


def _tier(stats: TierStats, retention: str | None, first_ms: int) -> Tier:
    retention_ms = None if retention is None else parse_duration_ms(retention)
    return Tier(
        name=stats.name,
        retention=retention,
        retention_ms=retention_ms,
        rows=stats.rows,
        samples=stats.samples,
        bytes=stats.bytes,
        bytes_per_sample=stats.bytes_per_sample,
        oldest_ms=stats.oldest_ms,
        newest_ms=stats.newest_ms,
        daily_bytes=stats.daily_bytes(first_ms),
        full_bytes=None if retention_ms is None else stats.full_bytes(first_ms, retention_ms),
    )
