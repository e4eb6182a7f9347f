"""Readings as psutil documents them for macOS and Windows, which have other fields than Linux. Written by hand."""

import json
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.filesystem_usage import FilesystemUsage
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.network import NetworkCollector
from bongsu.agent.collectors.system import SystemCollector
from tests.support.agent_fakes import by_series, fake_ps

FOLDER = Path(__file__).parent / "readings"
ELSEWHERE = Options(proc="/no/such/proc")


def revive(value: Any) -> Any:
    """Converts JSON to psutil's tuples: an object with "_" becomes a named tuple of its other members."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if isinstance(value, dict) and "_" in value:
        fields = {name: revive(item) for name, item in value.items() if name != "_"}
        return namedtuple(value["_"], fields)(**fields)
    if isinstance(value, dict):
        return {name: revive(item) for name, item in value.items()}
    return value


@pytest.fixture(params=["macos", "windows"])
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ps(system: str) -> Any:
    readings = revive(json.loads((FOLDER / f"{system}.json").read_text()))
    cpu_times = readings.pop("cpu_times")
    return fake_ps(cpu_times=lambda percpu: cpu_times, **readings)


def test_cpu_has_the_modes_of_the_system(ps, system: str) -> None:
    seen = by_series(CpuCollector(ps).collect())
    modes = {name.partition("[")[2].rstrip("]") for name in seen if name.startswith("cpu_time_seconds_total")}
    expected = {
        "macos": {"user", "nice", "system", "idle"},
        "windows": {"user", "system", "idle", "interrupt", "dpc"},
    }
    assert modes == expected[system]
    assert seen["cpu_cores"] == 2


def test_memory_has_the_fields_of_the_system(ps, system: str) -> None:
    platform = {"macos": "darwin", "windows": "win32"}[system]
    seen = by_series(MemoryCollector(ps, ELSEWHERE, platform=platform).collect())
    assert {"memory_total_bytes", "memory_available_bytes", "memory_used_bytes", "memory_free_bytes"} <= set(seen)
    assert not {"memory_buffers_bytes", "memory_slab_bytes"} & set(seen)
    assert 0 < seen["memory_usage_ratio"] < 1
    # Windows does not count it and psutil says 0
    assert ("swap_in_bytes_total" in seen) == (system == "macos")


def test_disks(ps, system: str) -> None:
    platform = {"macos": "darwin", "windows": "win32"}[system]
    collector = DiskCollector(ps, ELSEWHERE, usage=lambda path: FilesystemUsage(100, 40, 60), platform=platform)
    mounts = {dict(reading.labels).get("mountpoint") for reading in collector.collect()} - {None}
    assert mounts == {"macos": {"/", "/System/Volumes/Data"}, "windows": {"C:\\"}}[system]
    seen = by_series(collector.collect())
    device = {"macos": "disk0", "windows": "PhysicalDrive0"}[system]
    assert seen[f"disk_read_bytes_total[{device}]"] > 0
    assert f"disk_busy_seconds_total[{device}]" not in seen
    assert f"disk_queue_length[{device}]" in seen


def test_interfaces(ps, system: str) -> None:
    names = {dict(reading.labels)["interface"] for reading in NetworkCollector(ps).collect()}
    assert names == {"macos": {"en0"}, "windows": {"Ethernet"}}[system]


def test_values_from_proc_are_left_out_on_other_systems(ps) -> None:
    seen = by_series(SystemCollector(ps, ELSEWHERE, now=lambda: 1_700_000_100.0).collect())
    assert seen == {"system_uptime_seconds": 100, "system_users": 1}
