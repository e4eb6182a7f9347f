"""Limits of containers, from checked-in trees of /proc and /sys."""

import sys
from pathlib import Path

import psutil
import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.cgroups import cpu_limit, memory_limit
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.memory import MemoryCollector
from tests.support.agent_fakes import by_series

TREES = Path(__file__).resolve().parents[3] / "fixtures" / "proc"


@pytest.mark.parametrize(
    ("tree", "memory", "cores"),
    [
        pytest.param("container-cgroup-v1", 512 * 1024**2, 1.5, id="version 1"),
        pytest.param("container-cgroup-v2", 1024**3, 0.5, id="version 2"),
        pytest.param("host-cgroup-v1", None, None, id="a host with version 1 writes that there is no limit"),
        pytest.param("host-cgroup-v2", None, None, id="a host with version 2 has no such files"),
        pytest.param("nowhere", None, None, id="other systems have none of the files"),
    ],
)
def test_limits(tree: str, memory: int | None, cores: float | None) -> None:
    assert memory_limit(str(TREES / tree / "sys")) == memory
    assert cpu_limit(str(TREES / tree / "sys")) == cores


@pytest.mark.parametrize("text", ["max 100000", "max", "", "x y", "100000 0", "100000"])
def test_files_that_set_no_limit(tmp_path: Path, text: str) -> None:
    (tmp_path / "fs/cgroup").mkdir(parents=True)
    (tmp_path / "fs/cgroup/cpu.max").write_text(text)
    (tmp_path / "fs/cgroup/memory.max").write_text("max\n")
    assert cpu_limit(str(tmp_path)) is None
    assert memory_limit(str(tmp_path)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc through psutil")
@pytest.mark.parametrize("version", [1, 2])
def test_a_container_reports_its_limits_and_the_machine(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = TREES / f"container-cgroup-v{version}"
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tree / "proc"))
    options = Options(proc=str(tree / "proc"), sys=str(tree / "sys"))
    memory = by_series(MemoryCollector(psutil, options).collect())
    assert memory["memory_total_bytes"] == 16_384_000 * 1024
    assert memory["memory_available_bytes"] == 8_192_000 * 1024
    assert memory["memory_limit_bytes"] == {1: 512 * 1024**2, 2: 1024**3}[version]
    assert ("memory_slab_bytes" in memory) == (version == 2)  # the kernel of the other tree does not report it
    cpu = by_series(CpuCollector(psutil, options).collect())
    assert cpu["cpu_cores"] == 4
    assert cpu["cpu_limit_cores"] == {1: 1.5, 2: 0.5}[version]
    assert cpu["context_switches_total"] == 9000
