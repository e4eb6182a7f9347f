"""The screen of ``bongsu agent top``."""

from collections import deque

import pytest

from bongsu.agent.collectors.process_sampler import SampledProcess
from bongsu.agent.commands.top_readings import TopReadings
from bongsu.agent.commands.top_screen import screen


def some_readings(cores: int = 2, mounts: int = 3, processes: int = 50) -> TopReadings:
    return TopReadings(
        hostname="a-very-long-host-name.example.org",
        values={
            "cpu_usage_ratio": 0.5,
            "cpu_cores": cores,
            "load_1m": 1,
            "load_5m": 2,
            "load_15m": 3,
            "memory_usage_ratio": 0.95,
            "memory_total_bytes": 1e10,
            "memory_available_bytes": 5e8,
            "swap_usage_ratio": 0.1,
            "swap_used_bytes": 1e8,
            "swap_total_bytes": 1e9,
            "system_uptime_seconds": 1e6,
        },
        labelled={
            "cpu_core_usage_ratio": {str(n): n / cores for n in range(cores)},
            "filesystem_usage_ratio": {f"/a/long/mount/point/{n}": n / 10 for n in range(mounts)},
            "filesystem_total_bytes": {f"/a/long/mount/point/{n}": 1e12 for n in range(mounts)},
        },
        rates={
            "disk_read_bytes_total": {"sda": 1.0},
            "network_receive_bytes_total": {"eth0": 1e6},
        },
        history={name: deque([0.1, 0.9, 1e6]) for name in ("cpu", "memory", "read", "write", "receive", "transmit")},
        processes=[SampledProcess(n, "x" * 200, "S", 1, n * 1000, n / 50) for n in range(processes)],
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (120, 30), (119, 24), (40, 12)])
@pytest.mark.parametrize(("cores", "mounts"), [(2, 1), (64, 20), (256, 300), (1, 0)])
def test_the_screen_fits_every_terminal(width: int, height: int, cores: int, mounts: int) -> None:
    lines = ["".join(text for text, _ in line) for line in screen(some_readings(cores, mounts), width, height)]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("CPU", "Memory", "Net", "PID", "Ctrl-C"):
        assert word in text
    assert "98.0%" in text  # the busiest process


def test_the_screen_before_the_first_readings() -> None:
    assert len(screen(TopReadings(hostname="host"), 80, 24)) <= 24
