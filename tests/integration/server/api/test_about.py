"""What the API server tells of itself: versions, licences, what it takes, and what is stored."""

from pathlib import Path

import pytest

from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.storage.stats import TierStats, began_ms
from tests.support.alerting import send_cpu
from tests.support.app import running_app


async def test_about_tells_versions_and_licences(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        about = (await app.client.get("/api/about")).raise_for_status().json()
    assert about["database"].split()[0] in ("SQLite", "PostgreSQL")
    assert about["database"].split()[1][0].isdigit()
    assert about["database_bytes"] > 0
    assert about["memory_bytes"] > 10 * 1024**2
    assert about["cpu_seconds"] > 0
    packages = {package["name"].lower(): package for package in about["packages"]}
    assert packages["psutil"]["licence"].startswith("BSD")
    assert packages["fastapi"]["licence"] == "MIT"
    assert "bongsu" not in packages
    assert list(packages) == sorted(packages)


async def test_storage_tells_what_is_stored_and_for_how_long(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send_cpu(app, 0.5)
        storage = (await app.client.get("/api/storage")).raise_for_status().json()
    tiers = {tier["name"]: tier for tier in storage["tiers"]}
    assert list(tiers) == ["frames", "raw", "1m", "1h", "processes", "containers"]
    assert (tiers["frames"]["rows"], tiers["frames"]["samples"]) == (1, 3)
    assert tiers["frames"]["retention"] is None
    assert (tiers["raw"]["retention"], tiers["raw"]["retention_ms"]) == ("7d", 7 * DAY_MS)
    assert tiers["raw"]["full_bytes"] is None
    assert storage["database_bytes"] > 0
    assert storage["disk_free_bytes"] > 0
    assert storage["budget_bytes"] is None


@pytest.mark.parametrize(
    ("hours", "daily", "full"),
    [(0.5, None, None), (12, 2_000, 14_000), (24 * 14, 71, 1_000)],
    ids=["too short to tell", "half a day", "longer than it is kept"],
)
def test_the_size_of_a_full_retention_is_estimated(hours: float, daily: int | None, full: int | None) -> None:
    stats = TierStats("raw")
    stats.add(1, 10, 1_000, 0, round(hours * HOUR_MS))
    assert stats.daily_bytes(0) == daily
    assert stats.full_bytes(0, 7 * DAY_MS) == full


def test_rollups_are_as_young_as_the_first_sample() -> None:
    now_ms = 100 * DAY_MS
    raw, hours = TierStats("raw"), TierStats("1h")
    raw.add(1, 10, 1_000, now_ms - 2 * DAY_MS, now_ms)
    # Its row begins where a span of ten days does.
    hours.add(1, 10, 500, now_ms - 9 * DAY_MS, now_ms)
    first_ms = began_ms([raw, hours], 7 * DAY_MS, now_ms)
    assert first_ms == now_ms - 2 * DAY_MS
    assert hours.daily_bytes(first_ms) == 250
    # Once raw samples have been deleted, nobody knows when the first was taken.
    assert began_ms([raw, hours], 1 * DAY_MS, now_ms) == 0
    assert began_ms([], DAY_MS, now_ms) == 0
