"""Memory and swap from given readings."""

from types import SimpleNamespace

import psutil
import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.memory import MemoryCollector
from tests.support.agent_fakes import by_series, fake_ps, linux_only

GIB = 1024**3


def memory_ps(swap_total=0, **fields):
    swap = SimpleNamespace(total=swap_total, used=swap_total // 4, free=swap_total * 3 // 4, sin=7, sout=8)
    return fake_ps(virtual_memory=SimpleNamespace(**fields), swap_memory=swap)


def test_memory_in_bytes_and_as_a_share() -> None:
    fields = {"total": 8 * GIB, "available": 6 * GIB, "used": GIB, "free": 5 * GIB, "cached": GIB, "slab": 5}
    seen = by_series(MemoryCollector(memory_ps(**fields)).collect())
    assert seen["memory_total_bytes"] == 8 * GIB
    assert seen["memory_cached_bytes"] == GIB
    assert seen["memory_usage_ratio"] == 0.25  # (8 - 6) / 8
    assert "memory_buffers_bytes" not in seen  # macOS and Windows have none
    assert not [name for name in seen if name.startswith("swap")]


def test_a_machine_with_swap() -> None:
    seen = by_series(MemoryCollector(memory_ps(4 * GIB, total=GIB, available=GIB)).collect())
    assert seen["swap_usage_ratio"] == 0.25
    assert seen["swap_in_bytes_total"] == 7
    assert seen["swap_out_bytes_total"] == 8


@linux_only
@pytest.mark.filterwarnings("ignore:shared, active, inactive memory stats:RuntimeWarning")
def test_memory_of_an_old_kernel_without_mem_available(tree) -> None:
    kilobytes = {"MemTotal": 8000, "MemFree": 2000, "Buffers": 100, "Cached": 1000, "SwapTotal": 0, "SwapFree": 0}
    path = tree(
        meminfo="".join(f"{name}: {value} kB\n" for name, value in kilobytes.items()),
        vmstat="pswpin 0\npswpout 0\n",
        zoneinfo="",
    )
    seen = by_series(MemoryCollector(psutil, Options(proc=str(path))).collect())
    assert seen["memory_buffers_bytes"] == 100 * 1024
    assert "memory_shared_bytes" not in seen  # psutil would say 0
    assert "memory_slab_bytes" not in seen
    assert seen["memory_total_bytes"] == 8000 * 1024
    assert 0 < seen["memory_available_bytes"] <= 8000 * 1024
    assert 0 < seen["memory_usage_ratio"] < 1
    assert "swap_total_bytes" not in seen
