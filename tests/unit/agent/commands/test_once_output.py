"""What people see: table, top, status, check."""

import json
import math
import time
from collections import deque
from pathlib import Path

import pytest

from bongsu.agent.collectors.base import Counter, Gauge, Reading
from bongsu.agent.collectors.processes import Process
from bongsu.agent.commands import status
from bongsu.agent.commands.check import check
from bongsu.agent.commands.once_output import Snapshot, as_json, as_prometheus, as_table, humanise, per_second
from bongsu.agent.commands.top import SPARKS, View, bar, screen, sparkline
from bongsu.agent.config import Config
from bongsu.agent.sampling.runner import Job
from bongsu.agent.stats import Stats
from bongsu.core import samples
from bongsu.core.errors import ConfigError
from tests.support.stub_api_server import ApiServer
from tests.unit.agent.sampling.test_runner import Fast


class Source:
    name = "source"
    metrics = (
        Gauge("memory_used_bytes", "Used."),
        Counter("network_receive_bytes_total", "Received."),
        Counter("cpu_time_seconds_total", "Time."),
        Gauge("cpu_usage_ratio", "Usage."),
    )

    def collect(self):
        return ()


def snapshot() -> Snapshot:
    eth0 = (("interface", 'e"th\\0'),)
    before = [Reading("network_receive_bytes_total", 1000, eth0)]
    now = [
        Reading("cpu_usage_ratio", 0.123),
        Reading("memory_used_bytes", 3 * 1024**3),
        Reading("network_receive_bytes_total", 5096, eth0),
        Reading("cpu_time_seconds_total", math.nan, (("mode", "user"),)),
    ]
    return Snapshot(before, now, 2.0, [Source()])


def test_the_table_is_grouped_humanised_and_aligned() -> None:
    lines = as_table(snapshot()).splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == ["CPU", "MEMORY", "NETWORK"]
    assert any(line.split() == ["cpu_usage_ratio", "12.3", "%"] for line in lines)
    assert any(line.split() == ["memory_used_bytes", "3.00", "GiB"] for line in lines)
    assert any(line.endswith("4.98 KiB  2.00 KiB/s") for line in lines)  # (5096 - 1000) / 2 s
    assert any(line.split() == ["cpu_time_seconds_total", "mode=user", "-"] for line in lines)


def test_json_has_the_numbers_themselves() -> None:
    series = json.loads(as_json(snapshot()))["series"]
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


def test_processes_stand_at_the_end() -> None:
    source = Source()
    source.processes = [
        samples.Process(7, "backup", "root", 1.753, 3 * 1024**3, 4, 5),
        samples.Process(12345, "sh", "a"),
    ]
    shown = Snapshot([], [Reading("cpu_usage_ratio", 0.123)], 2.0, [source])
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
    assert "PROCESSES" not in as_table(snapshot())


def test_prometheus_text_escapes() -> None:
    lines = as_prometheus(snapshot()).splitlines()
    assert 'network_receive_bytes_total{interface="e\\"th\\\\0"} 5096.0' in lines
    assert 'cpu_time_seconds_total{mode="user"} NaN' in lines
    assert lines.count("# TYPE cpu_usage_ratio gauge") == 1


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cpu_usage_ratio", 0.5, "50.0 %"),
        ("memory_used_bytes", 0, "0 B"),
        ("disk_await_seconds", 0.0042, "4.20 ms"),
        ("system_uptime_seconds", 93_784, "1d 2h"),
        ("network_speed_bits", 1e10, "10 Gbit/s"),
        ("cpu_frequency_hertz", 2.4e9, "2.40 GHz"),
        ("sensor_temperature_celsius", 51.25, "51.2 °C"),
        ("load_1m", 0.256, "0.26"),
        ("processes_running", 3, "3"),
        ("load_1m", math.nan, "-"),
    ],
)
def test_values_read_as_people_write_them(name: str, value: float, text: str) -> None:
    assert humanise(Gauge(name, ""), value) == text


def test_rates() -> None:
    assert per_second(Counter("a_seconds_total", ""), 0.25) == "25.0 %"
    assert per_second(Counter("a_total", ""), 1234.5) == "1,234.5/s"


def a_view(cores: int = 2, mounts: int = 3, processes: int = 50) -> View:
    return View(
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
        history={name: deque([0.1, 0.9, 1e6]) for name in ("cpu", "memory", "read", "write", "receive", "transmit")},
        processes=[Process(n, "x" * 200, "S", 1, n * 1000, n / 50) for n in range(processes)],
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (120, 30), (119, 24), (40, 12)])
@pytest.mark.parametrize(("cores", "mounts"), [(2, 1), (64, 20), (256, 300), (1, 0)])
def test_top_fits_every_terminal(width: int, height: int, cores: int, mounts: int) -> None:
    lines = ["".join(text for text, _ in line) for line in screen(a_view(cores, mounts), width, height)]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("CPU", "Memory", "Net", "PID", "Ctrl-C"):
        assert word in text
    assert "98.0%" in text  # the busiest process


def test_top_before_the_first_numbers() -> None:
    assert len(screen(View("host"), 80, 24)) <= 24


@pytest.mark.parametrize(("ratio", "full"), [(0, 0), (0.5, 5), (1, 10), (7, 10), (-1, 0)])
def test_bars(ratio: float, full: int) -> None:
    (done, _), (rest, _) = bar(ratio, 10)
    assert len(done) == full
    assert len(done) + len(rest) == 10


def test_sparklines() -> None:
    assert sparkline([0, 1], 4) == "  " + SPARKS[0] + SPARKS[-1]
    assert sparkline([1, 2, 3, 4], 2, top=4) == SPARKS[5] + SPARKS[7]
    assert sparkline([0, 0], 2) == SPARKS[0] * 2
    assert sparkline([1], 0) == ""


def test_status_of_a_running_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stats = Stats(
        ticks=5, sent_frames=4, queue_frames=3, queue_bytes=5000, last_error="no answer in time", server_up=False
    )
    stats.oldest_unsent_ms = round((time.time() - 90) * 1000)
    stats.collector_errors["fast"] = 2
    config = Config(data_dir=str(tmp_path))
    status.write_status(config, stats, [Job(Fast(), runs=5, cpu_seconds=0.01)])
    assert status.status("", {"data_dir": str(tmp_path)}, form="table") == 1  # the server does not answer
    shown = capsys.readouterr().out
    assert "3 frames, 4.88 KiB, the oldest 1m 30s old" in shown
    assert "no answer in time" in shown
    assert "fast          2.00 ms 2 errors" in shown
    stats.server_up = True
    status.write_status(config, stats, [])
    assert status.status("", {"data_dir": str(tmp_path)}, form="json") == 0
    assert json.loads(capsys.readouterr().out)["running"] is True


def test_status_of_an_agent_that_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="No agent has run"):
        status.status("", {"data_dir": str(tmp_path)}, form="table")
    status.write_status(Config(data_dir=str(tmp_path)), Stats(), [])
    content = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps({**content, "time": time.time() - 3600}))
    assert status.status("", {"data_dir": str(tmp_path)}, form="table") == 1
    assert "stopped?" in capsys.readouterr().out


def test_check_when_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = ApiServer()
    try:
        (tmp_path / "agent.yml").write_text("buffer: {size: 1MB}\n")
        flags = {"data_dir": str(tmp_path / "data"), "server": api.url}
        assert check(str(tmp_path / "agent.yml"), flags) == 0, capsys.readouterr().out
    finally:
        api.close()
    assert f"ok    {api.url}: answers" in capsys.readouterr().out
    assert api.times() == []


@pytest.mark.parametrize(
    ("status_code", "message"),
    [
        (401, "refuses this agent: HTTP status 401. Enrol it and set the token."),
        (404, "answers, but is no Bongsu server"),
        (500, "answers with an error: HTTP status 500"),
    ],
)
def test_check_says_what_to_do(tmp_path: Path, capsys, status_code: int, message: str) -> None:
    api = ApiServer()
    api.answers.append((status_code, {}, b""))
    try:
        assert check("", {"data_dir": str(tmp_path), "server": api.url}) == 1
    finally:
        api.close()
    assert f"FAIL  {api.url}: {message}" in capsys.readouterr().out


def test_check_of_a_wrong_configuration_goes_no_further(tmp_path: Path, capsys) -> None:
    (tmp_path / "agent.yml").write_text("interval: soon\n")
    assert check(str(tmp_path / "agent.yml"), {}) == 1
    assert capsys.readouterr().out.startswith("FAIL  configuration: ")
