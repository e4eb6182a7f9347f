"""The agent as a real process, against a server: stopped, reloaded and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.agent_fakes import wait_for
from tests.support.stub_api_server import ApiServer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def api() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def run(*words: str, **variables: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BONGSU_")}
        environment |= {"BONGSU_AGENT_DATA_DIR": str(tmp_path / "data"), **variables}
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "bongsu.agent", *words],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_agent_sends_until_it_is_stopped(api: ApiServer, start, tmp_path: Path) -> None:
    agent = start("run", "--server", api.url, "--interval", "1s", "--name", "web-1")
    wait_for(lambda: len(api.times()) >= 3, 90)
    agent.send_signal(signal.SIGTERM)
    _, errors = agent.communicate(timeout=90)
    assert agent.returncode == 0
    assert errors == ""
    first = api.pushes[0]
    assert first.agent.name == "web-1"
    assert first.agent.interval_ms == 1000
    assert first.host is not None
    assert first.host.hostname == os.uname().nodename
    assert first.host.memory_total_bytes > 0
    assert all(time_ms % 1000 == 0 for time_ms in api.times()[1:])
    metrics = {series.metric for layout in api.layouts.values() for series in layout.series}
    assert {"cpu_usage_ratio", "memory_available_bytes", "filesystem_used_bytes", "load_1m"} <= metrics
    # a restarted agent keeps its identity
    again = start("run", "--server", api.url, "--interval", "1s")
    count = len(api.pushes)
    wait_for(lambda: len(api.pushes) > count, 90)
    assert api.pushes[-1].agent.agent_id == first.agent.agent_id
    again.terminate()
    assert again.wait(90) == 0


def test_a_supervised_agent_stops_with_its_parent(api: ApiServer, start) -> None:
    agent = start("run", "--server", api.url, "--interval", "1s", BONGSU_SUPERVISED="1")
    wait_for(lambda: api.times(), 90)
    agent.stdin.close()
    assert agent.wait(90) == 0
    agent.stdin = None


def test_two_agents_cannot_share_a_data_directory(api: ApiServer, start) -> None:
    start("run", "--server", api.url)
    wait_for(lambda: api.times(), 90)
    second = start("run", "--server", api.url)
    _, errors = second.communicate(timeout=90)
    assert second.returncode == 2
    assert "Another agent already uses" in errors


def test_sighup_reloads_the_configuration(api: ApiServer, start, tmp_path: Path) -> None:
    file = tmp_path / "agent.yml"
    file.write_text(f"server: {api.url}\nname: before\ninterval: 1s\n")
    agent = start("run", "--config", str(file))
    wait_for(lambda: api.times(), 90)
    file.write_text(f"server: {api.url}\nname: after\ninterval: soon\n")
    agent.send_signal(signal.SIGHUP)
    count = len(api.pushes)
    wait_for(lambda: len(api.pushes) > count + 1, 90)
    assert api.pushes[-1].agent.name == "before"
    file.write_text(f"server: {api.url}\nname: after\ninterval: 1s\n")
    agent.send_signal(signal.SIGHUP)
    wait_for(lambda: api.pushes[-1].agent.name == "after", 90)
    agent.terminate()
    _, errors = agent.communicate(timeout=90)
    assert agent.returncode == 0
    assert f"{file} line 3: interval: 'soon' is not a duration" in errors
    assert errors.count("The configuration was reloaded.") == 1


def test_a_wrong_argument_is_reported(start) -> None:
    agent = start("run", "--interval", "10")
    _, errors = agent.communicate(timeout=90)
    assert agent.returncode == 2
    assert errors == "bongsu agent: --interval: '10' has no unit: write it like 10s, 5m, 6h or 7d.\n"


def test_once_as_json_and_prometheus_text(start) -> None:
    as_json = start("once", "--format", "json")
    as_text = start("once", "--format", "prometheus")
    series = json.loads(as_json.communicate(timeout=90)[0])["series"]
    usage = next(item for item in series if item["metric"] == "cpu_usage_ratio")
    assert usage["type"] == "cpu"
    assert usage["unit"] == "ratio"
    assert 0 <= usage["value"] <= 1
    assert any(item["rate"] is not None for item in series if item["kind"] == "counter")
    lines = as_text.communicate(timeout=90)[0].splitlines()
    assert "# TYPE cpu_time_seconds_total counter" in lines
    assert any(line.startswith('cpu_time_seconds_total{mode="user"} ') for line in lines)


def test_a_day_without_a_server_and_a_kill_lose_nothing(api: ApiServer, tmp_path: Path) -> None:
    port = api.port
    api.close()
    start_ms = (time.time_ns() // 1_000_000 - 86_400_000) // 10_000 * 10_000
    end_ms = start_ms + 86_400_000

    def agent(since_ms: int) -> subprocess.Popen[str]:
        words = [str(tmp_path / "buffer"), f"http://127.0.0.1:{port}", str(since_ms), str(end_ms), ""]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.agent_day", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    sampled: list[int] = []
    first = agent(start_ms)
    for _ in range(4000):
        sampled.append(int(first.stdout.readline()))
    first.kill()
    sampled += [int(line) for line in first.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    first.communicate()
    # the kill may have come after a frame was buffered and before it was printed; the second process samples it again
    next_ms = sampled[-1] + 10_000
    second = agent(sampled[-1])
    for line in second.stdout:
        if line == "day over\n":
            break
        sampled.append(int(line))
    assert len(set(sampled)) >= 8640
    again = ApiServer(port)
    try:
        # 20 s at the default rate, longer on a slow machine
        wait_for(lambda: set(again.times()) >= set(sampled), 240)
        assert set(again.times()) <= {*sampled, next_ms}
        assert {time_ms for (_, time_ms), sent in again.stored.items() if sent > 1} <= {next_ms}
        assert again.stored.total() <= len(set(sampled)) + 1
    finally:
        second.communicate(timeout=90)
        again.close()
    assert second.returncode == 0
