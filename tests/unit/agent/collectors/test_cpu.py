"""CPU usage and times from given readings."""

from types import SimpleNamespace

import psutil
import pytest

from bongsu.agent.collectors.cpu import CpuCollector
from tests.support.agent_fakes import CpuTimes, by_series, fake_ps, linux_only


def cpu_ps(times):
    return fake_ps(
        cpu_times=lambda percpu: times,
        cpu_count=lambda logical=True: 2 if logical else 1,
        cpu_stats=SimpleNamespace(ctx_switches=123, interrupts=456),
    )


def test_cpu_usage_is_the_share_of_time_that_was_not_idle() -> None:
    cores = [
        CpuTimes(10, 0, 5, 100, 1, 0, 0, 0, 0, 0),
        CpuTimes(20, 0, 5, 100, 1, 0, 0, 0, 0, 0),
    ]
    collector = CpuCollector(cpu_ps(cores))
    first = by_series(collector.collect())
    assert "cpu_usage_ratio" not in first
    # core 0: 3 s busy of 10 s; core 1: 1 s busy of 10 s, of which 4 s waiting for a disk, which is idle
    cores[0] = CpuTimes(12, 0, 6, 107, 1, 0, 0, 0, 0, 0)
    cores[1] = CpuTimes(21, 0, 5, 105, 5, 0, 0, 0, 0, 0)
    second = by_series(collector.collect())
    assert second["cpu_core_usage_ratio[0]"] == pytest.approx(0.3)
    assert second["cpu_core_usage_ratio[1]"] == pytest.approx(0.1)
    assert second["cpu_usage_ratio"] == pytest.approx(0.2)
    assert second["cpu_cores"] == 2
    assert second["cpu_physical_cores"] == 1
    assert second["cpu_time_seconds_total[user]"] == 33
    assert second["cpu_time_seconds_total[iowait]"] == 6
    assert second["context_switches_total"] == 123
    assert second["interrupts_total"] == 456


def test_usage_without_processes_of_low_priority() -> None:
    cores = [CpuTimes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    collector = CpuCollector(cpu_ps(cores))
    list(collector.collect())
    # 1 s user, 7 s nice, 2 s idle
    cores[0] = CpuTimes(1, 7, 0, 2, 0, 0, 0, 0, 0, 0)
    seen = by_series(collector.collect())
    assert seen["cpu_usage_ratio"] == pytest.approx(0.8)
    assert seen["cpu_usage_without_nice_ratio"] == pytest.approx(0.1)


def test_guest_time_is_counted_once() -> None:
    collector = CpuCollector(cpu_ps([CpuTimes(100, 10, 0, 50, 0, 0, 0, 0, 60, 4)]))
    seen = by_series(collector.collect())
    assert seen["cpu_time_seconds_total[user]"] == 40  # 100 - 60
    assert seen["cpu_time_seconds_total[nice]"] == 6  # 10 - 4
    assert seen["cpu_time_seconds_total[guest]"] == 60


def test_iowait_that_goes_backwards_makes_no_negative_usage() -> None:
    times = [CpuTimes(10, 0, 0, 100, 50, 0, 0, 0, 0, 0)]
    collector = CpuCollector(cpu_ps(times))
    list(collector.collect())
    times[0] = CpuTimes(11, 0, 0, 100, 40, 0, 0, 0, 0, 0)
    assert by_series(collector.collect())["cpu_usage_ratio"] == 1.0


def test_time_of_a_mode_never_falls() -> None:
    """On a host of virtual machines, user without guest falls when the kernel adds to guest first."""
    times = [CpuTimes(100, 0, 0, 100, 50, 0, 0, 0, 60, 0)]
    collector = CpuCollector(cpu_ps(times))
    list(collector.collect())
    times[0] = CpuTimes(100.02, 0, 0, 100, 49.97, 0, 0, 0, 60.05, 0)
    seen = by_series(collector.collect())
    assert seen["cpu_time_seconds_total[user]"] == 40
    assert seen["cpu_time_seconds_total[iowait]"] == 50
    times[0] = CpuTimes(101, 0, 0, 100, 50.5, 0, 0, 0, 60.05, 0)
    seen = by_series(collector.collect())
    assert seen["cpu_time_seconds_total[user]"] == pytest.approx(40.95)
    assert seen["cpu_time_seconds_total[iowait]"] == 50.5


def test_time_that_starts_again_is_a_reset() -> None:
    times = [CpuTimes(1000, 0, 0, 100, 50, 0, 0, 0, 0, 0)]
    collector = CpuCollector(cpu_ps(times))
    list(collector.collect())
    times[0] = CpuTimes(5, 0, 0, 100, 50, 0, 0, 0, 0, 0)
    assert by_series(collector.collect())["cpu_time_seconds_total[user]"] == 5


def test_a_new_core_costs_one_reading_of_usage() -> None:
    times = [CpuTimes(*[1] * 10)]
    collector = CpuCollector(cpu_ps(times))
    list(collector.collect())
    times.append(CpuTimes(*[1] * 10))
    assert "cpu_usage_ratio" not in by_series(collector.collect())
    times[:] = [CpuTimes(2, 1, 1, 2, 1, 1, 1, 1, 1, 1)] * 2
    assert by_series(collector.collect())["cpu_usage_ratio"] == pytest.approx(0.5)


CPU_LINE = "cpu{n}  100 0 50 1000 10 0 5 0 0 0\n"


def a_stat(cores: int) -> str:
    lines = [CPU_LINE.format(n=number) for number in ["", *range(cores)]]
    return "".join(lines) + "intr 777 0 0\nctxt 888\nbtime 1600000000\nprocesses 5\nsoftirq 9 0\n"


@linux_only
def test_a_machine_with_256_cores(tree) -> None:
    tree(stat=a_stat(256), cpuinfo="")
    collector = CpuCollector(psutil)
    list(collector.collect())
    tree(stat=a_stat(256).replace(" 100 0 50", " 200 0 50"))
    seen = by_series(collector.collect())
    assert seen["cpu_cores"] == 256
    assert sum(name.startswith("cpu_core_usage_ratio") for name in seen) == 256
    assert seen["cpu_usage_ratio"] == 1
    assert seen["interrupts_total"] == 777
    assert seen["context_switches_total"] == 888
