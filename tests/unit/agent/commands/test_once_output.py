"""The output of ``bongsu agent once``."""

import json
import math

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Reading
from bongsu.agent.commands.once_output import (
    RatedReadings,
    as_json,
    as_prometheus,
    as_table,
)
from bongsu.core import samples
from tests.support.agent_fakes import fake_ps


class Source(Collector):
    name = "source"
    metrics = (
        Gauge("memory_used_bytes", "Used."),
        Counter("network_receive_bytes_total", "Received."),
        Counter("cpu_time_seconds_total", "Time."),
        Gauge("cpu_usage_ratio", "Usage."),
    )

    def collect(self) -> list[Reading]:
        return []


def some_readings() -> RatedReadings:
    eth0 = (("interface", 'e"th\\0'),)
    before = [Reading("network_receive_bytes_total", 1000, eth0)]
    now = [
        Reading("cpu_usage_ratio", 0.123),
        Reading("memory_used_bytes", 3 * 1024**3),
        Reading("network_receive_bytes_total", 5096, eth0),
        Reading("cpu_time_seconds_total", math.nan, (("mode", "user"),)),
    ]
    return RatedReadings(before, now, 2.0, [Source(fake_ps())])


def test_the_table_is_grouped_aligned_and_has_units() -> None:
    lines = as_table(some_readings()).splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == ["CPU", "MEMORY", "NETWORK"]
    assert any(line.split() == ["cpu_usage_ratio", "12.3", "%"] for line in lines)
    assert any(line.split() == ["memory_used_bytes", "3.00", "GiB"] for line in lines)
    assert any(line.endswith("4.98 KiB  2.00 KiB/s") for line in lines)  # (5096 - 1000) / 2 s
    assert any(line.split() == ["cpu_time_seconds_total", "mode=user", "-"] for line in lines)


def test_json_has_plain_numbers() -> None:
    series = json.loads(as_json(some_readings()))["series"]
    assert series[2] == {
        "metric": "network_receive_bytes_total",
        "labels": {"interface": 'e"th\\0'},
        "type": "network",
        "unit": "bytes",
        "kind": "counter",
        "value": 5096,
        "rate": 2048.0,
    }
    assert series[3]["value"] is None


def test_processes_are_at_the_end() -> None:
    source = Source(fake_ps())
    source.processes = [
        samples.Process(7, "backup", "root", 1.753, 3 * 1024**3, 4, 5),
        samples.Process(12345, "sh", "a"),
    ]
    shown = RatedReadings([], [Reading("cpu_usage_ratio", 0.123)], 2.0, [source])
    lines = as_table(shown).splitlines()
    assert lines[-3:] == [
        "PROCESSES",
        "        7  root   175.3 %    3.00 GiB  backup",
        "    12345  a        0.0 %         0 B  sh",
    ]
    assert json.loads(as_json(shown))["processes"][0] == {
        "pid": 7,
        "name": "backup",
        "user": "root",
        "cpu_ratio": 1.753,
        "memory_bytes": 3 * 1024**3,
        "threads": 4,
        "started_ms": 5,
    }
    assert "PROCESSES" not in as_table(some_readings())


def test_prometheus_text_escapes() -> None:
    lines = as_prometheus(some_readings()).splitlines()
    assert 'network_receive_bytes_total{interface="e\\"th\\\\0"} 5096.0' in lines
    assert 'cpu_time_seconds_total{mode="user"} NaN' in lines
    assert lines.count("# TYPE cpu_usage_ratio gauge") == 1


def test_containers_are_after_the_processes() -> None:
    source = Source(fake_ps())
    source.containers = samples.ContainerList(
        0,
        [
            samples.Container("0123456789ab", "shop-db-1", workload="shop/db", state="running", health="healthy",
                              cpu_ratio=1.5, memory_bytes=1024),
            samples.Container("ba9876543210", "job", state="exited"),
        ],
    )  # fmt: skip
    shown = RatedReadings([], [Reading("cpu_usage_ratio", 0.123)], 2.0, [source])
    assert as_table(shown).splitlines()[-3:] == [
        "CONTAINERS",
        "  0123456789ab  shop-db-1  running healthy   150.0 %    1.00 KiB  shop/db",
        "  ba9876543210  job        exited              0.0 %         0 B",
    ]
    assert json.loads(as_json(shown))["containers"][1]["name"] == "job"
