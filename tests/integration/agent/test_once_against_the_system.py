"""``bongsu agent once`` compared with free, df and /proc."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import need

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="compares with Linux's own programs")


def run(*words: str) -> str:
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    return subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout


@pytest.fixture(scope="module")
def once() -> dict[tuple[str, str], float]:
    """(metric, last label's value) -> value."""
    completed = subprocess.run(
        [sys.executable, "-m", "bongsu.agent", "once", "--format", "json"], check=True, capture_output=True, text=True
    )
    return {
        (series["metric"], next(reversed(series["labels"].values()), "")): series["value"]
        for series in json.loads(completed.stdout)["series"]
    }


def close(value: float, expected: float, share: float = 0.05, at_least: float = 64 * 1024**2) -> bool:
    """Whether two changing values are equal within a share, or within 64 MiB, since other programs run meanwhile."""
    return abs(value - expected) <= max(at_least, share * abs(expected))


def test_memory_is_what_free_says(once) -> None:
    need("free")
    header, memory, *_ = run("free", "-b").splitlines()
    says = dict(zip(header.split(), map(int, memory.split()[1:]), strict=True))
    assert once[("memory_total_bytes", "")] == says["total"]
    assert close(once[("memory_available_bytes", "")], says["available"])
    assert close(once[("memory_used_bytes", "")], says["used"])
    assert close(once[("memory_free_bytes", "")], says["free"])
    assert close(once[("memory_shared_bytes", "")], says["shared"])


def test_filesystems_are_what_df_says(once) -> None:
    size, used, available, percent = run("df", "-B1", "--output=size,used,avail,pcent", "/").splitlines()[1].split()
    assert once[("filesystem_total_bytes", "/")] == int(size)
    assert close(once[("filesystem_used_bytes", "/")], int(used))
    assert close(once[("filesystem_available_bytes", "/")], int(available))
    assert once[("filesystem_usage_ratio", "/")] * 100 == pytest.approx(int(percent.rstrip("%")), abs=1.01)


def test_inodes_are_what_df_says(once) -> None:
    total, used = run("df", "--output=itotal,iused", "/").splitlines()[1].split()
    if int(total) == 0:  # btrfs: no fixed number, so no metric
        assert not [name for name, labels in once if name.startswith("filesystem_inodes") and labels == "/"]
        return
    assert once[("filesystem_inodes", "/")] == int(total)
    assert close(once[("filesystem_inodes_used", "/")], int(used), at_least=5_000)


def test_interfaces_are_what_the_kernel_says(once) -> None:
    seen = {name for metric, name in once if metric == "network_receive_bytes_total"}
    compared = 0
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = [int(number) for number in numbers.split()]
        name = name.strip()
        if name not in seen:
            continue
        compared += 1
        assert close(once[("network_receive_bytes_total", name)], fields[0])
        assert close(once[("network_transmit_bytes_total", name)], fields[8])
        assert close(once[("network_receive_packets_total", name)], fields[1], at_least=100_000)
        assert once[("network_receive_errors_total", name)] <= fields[2]
        assert once[("network_receive_drops_total", name)] <= fields[3]
        assert once[("network_transmit_drops_total", name)] <= fields[11]
    assert compared == len(seen)


def test_load_is_what_the_kernel_says(once) -> None:
    loads = [float(number) for number in Path("/proc/loadavg").read_text().split()[:3]]
    # the kernel moves it every 5 s: by at most 1 - exp(-5/60) = 8 % of what runs
    running = max(10.0, once[("processes_running", "")])
    for metric, load in zip(("load_1m", "load_5m", "load_15m"), loads, strict=True):
        assert once[(metric, "")] == pytest.approx(load, abs=0.01 + 0.08 * running)


def test_cpu_time_is_what_the_kernel_says(once) -> None:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    cores = once[("cpu_cores", "")]
    for mode, ticks in zip(("user", "nice", "system", "idle", "iowait"), fields, strict=False):
        # at most half a minute of all cores passes between the two readings; iowait may run backwards
        assert -1 <= int(ticks) / 100 - once[("cpu_time_seconds_total", mode)] <= 30 * cores
    assert cores == sum(
        1 for line in Path("/proc/stat").read_text().splitlines() if line.startswith("cpu") and line[3].isdigit()
    )
