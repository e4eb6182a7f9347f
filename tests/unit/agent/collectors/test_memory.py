"""Memory and swap from given readings."""

from pathlib import Path
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


def room(tmp_path: Path, total: int, available: int, **files: str) -> dict[str, float]:
    """What a machine with these files reports, in GiB."""
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    options = Options(proc=str(tmp_path / "proc"), sys=str(tmp_path / "sys"))
    ps = memory_ps(total=total * GIB, available=available * GIB)
    seen = by_series(MemoryCollector(ps, options).collect())
    return {name: seen[name] / GIB for name in ("memory_usable_bytes", "memory_left_bytes") if name in seen}


def test_huge_pages_are_not_usable(tmp_path: Path) -> None:
    meminfo = f"MemTotal: {64 * 1024**2} kB\nHugePages_Total: 1\nHugepagesize: 2048 kB\nHugetlb: {48 * 1024**2} kB\n"
    assert room(tmp_path, 64, 4, proc__meminfo=meminfo) == {"memory_usable_bytes": 16, "memory_left_bytes": 4}


def test_huge_pages_of_an_old_kernel(tmp_path: Path) -> None:
    meminfo = "HugePages_Total: 1024\nHugePages_Free: 1024\nHugepagesize: 2048 kB\n"
    assert room(tmp_path, 8, 4, proc__meminfo=meminfo) == {"memory_usable_bytes": 6, "memory_left_bytes": 4}


def test_the_cache_of_zfs_is_left_but_for_its_minimum(tmp_path: Path) -> None:
    arc = f"13 1 0x01\nname type data\nhits 4 1\nc_min 4 {2 * GIB}\nsize 4 {32 * GIB}\n"
    seen = room(tmp_path, 64, 3, proc__spl__kstat__zfs__arcstats=arc)
    assert seen == {"memory_usable_bytes": 64, "memory_left_bytes": 33}  # 3 + 32 - 2


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"memory_DOT_max": str(2 * GIB), "memory_DOT_current": str(GIB), "memory_DOT_stat": f"anon 1\ninactive_file {GIB // 2}\n"}, id="version 2"
        ),
        pytest.param(
            {
                "memory__memory_DOT_limit_in_bytes": str(2 * GIB),
                "memory__memory_DOT_usage_in_bytes": str(GIB),
                "memory__memory_DOT_stat": f"inactive_file 0\ntotal_inactive_file {GIB // 2}\n",
            },
            id="version 1",
        ),
    ],
)  # fmt: skip
def test_a_container_has_what_its_limit_leaves(tmp_path: Path, files: dict[str, str]) -> None:
    seen = room(tmp_path, 64, 60, **{f"sys__fs__cgroup__{name}": content for name, content in files.items()})
    assert seen == {"memory_usable_bytes": 2, "memory_left_bytes": 1.5}  # 2 - (1 - 0.5)


def test_a_limit_above_the_memory_is_none(tmp_path: Path) -> None:
    assert room(tmp_path, 4, 3, sys__fs__cgroup__memory_DOT_max=str(8 * GIB)) == {
        "memory_usable_bytes": 4,
        "memory_left_bytes": 3,
    }


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        pytest.param({"proc/vmstat": "pgpgin 5\noom_kill 3\n"}, 3, id="a host"),
        pytest.param({"proc/vmstat": "pgpgin 5\n"}, None, id="an old kernel"),
        pytest.param(
            {"proc/vmstat": "oom_kill 3\n", "sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.events": "oom 2\noom_kill 1\n"},
            1, id="a container: its own",
        ),
    ],
)  # fmt: skip
def test_oom_kills(tmp_path: Path, files: dict[str, str], kills: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    options = Options(proc=str(tmp_path / "proc"), sys=str(tmp_path / "sys"))
    seen = by_series(MemoryCollector(memory_ps(total=GIB, available=GIB), options).collect())
    assert seen.get("memory_oom_kills_total") == kills
