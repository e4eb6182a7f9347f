"""Real containers, beside what Podman says of them."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.containers.collector import ContainersCollector
from bongsu.core.samples import Container, ContainerEvent
from tests.support.agent_fakes import by_series, fake_ps, linux_only, wait_for
from tests.support.podman import Podman, running_podman

pytestmark = linux_only
MiB = 1024**2


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    with running_podman() as running:
        yield running


class Watch:
    """A collector that makes a list at each reading. Other containers of the machine are left out."""

    def __init__(self, podman: Podman) -> None:
        self.problems: list[str] = []
        options = Options(
            settings={"sockets": (str(podman.socket),)}, report_problem=lambda topic, text: self.problems.append(text)
        )
        self.collector = ContainersCollector(fake_ps(), options)
        self.events: list[ContainerEvent] = []
        self.containers: dict[str, Container] = {}
        self.ended: dict[str, Container] = {}
        self.readings: dict[str, float] = {}

    def read(self) -> None:
        self.collector._listed_minute = -1
        self.collector._look_at = self.collector._walk_at = 0.0
        self.readings = by_series(self.collector.collect())
        listed = self.collector.containers
        assert listed is not None
        self.events += listed.events
        self.containers = {row.name: row for row in listed.containers}
        self.ended |= {row.name: row for row in listed.containers if row.finished_ms}

    def types(self, name: str) -> list[str]:
        self.read()
        return [event.type for event in self.events if event.name == name]


@pytest.fixture
def watch(podman: Podman) -> Iterator[Watch]:
    watch = Watch(podman)
    watch.read()
    yield watch
    watch.collector.close()
    podman("rm", "--all", "--force", "--time", "0")


def test_one_that_eats_cpu(podman: Podman, watch: Watch) -> None:
    podman.run("busy", "while :; do :; done", "--memory", "64m")
    wait_for(lambda: "started" in watch.types("busy") and watch.containers["busy"].processes)
    before = cpu_seconds(podman, "busy"), time.monotonic()
    watch.read()
    ends_at = time.monotonic() + 2
    wait_for(lambda: time.monotonic() > ends_at)
    watch.read()
    after = cpu_seconds(podman, "busy"), time.monotonic()
    told = (after[0] - before[0]) / (after[1] - before[1])
    busy = watch.containers["busy"]
    # Both share the machine with other tests, and Podman's command takes a while.
    assert busy.cpu_ratio == pytest.approx(told, abs=0.3)
    assert watch.readings["workload_cpu_usage_ratio[localhost/tiny]"] == pytest.approx(busy.cpu_ratio, abs=0.05)
    inspected = podman.inspect("busy")
    assert busy.id == inspected["Id"][:12]
    assert (busy.state, busy.image, busy.runtime) == ("running", "localhost/tiny:1.0", "podman")
    assert busy.memory_limit_bytes == inspected["HostConfig"]["Memory"] == 64 * MiB
    assert busy.processes == int(stats(podman, "busy")["pids"])
    assert watch.problems == []


def test_one_that_lives_for_a_moment(podman: Podman, watch: Watch) -> None:
    id = podman.run("moment", "sleep 1; exit 4", "--rm")
    wait_for(lambda: watch.types("moment") == ["started", "exited", "removed"])
    moment = watch.ended["moment"]
    assert (moment.id, moment.state, moment.exit_code) == (id[:12], "exited", 4)
    assert 900 < moment.finished_ms - moment.started_ms < 30_000
    assert [event.exit_code for event in watch.events if event.type == "exited"] == [4]
    assert watch.readings["workload_failures_total[localhost/tiny]"] == 1
    assert podman("ps", "--all", "--quiet") == ""


def test_one_that_is_restarted_again_and_again(podman: Podman, watch: Watch) -> None:
    podman.run("loop", "exit 3", "--restart", "on-failure:3")
    wait_for(lambda: watch.types("loop").count("exited") == 4)
    assert watch.types("loop").count("restarted") == 3
    loop, inspected = watch.containers["loop"], podman.inspect("loop")
    assert loop.restarts == inspected["RestartCount"] == 3
    assert loop.exit_code == inspected["State"]["ExitCode"] == 3
    assert watch.readings["workload_restarts_total[localhost/tiny]"] == 3
    assert watch.readings["workload_failures_total[localhost/tiny]"] == 4
    assert watch.readings["workload_containers[localhost/tiny]"] == 0


def test_one_that_runs_out_of_memory(podman: Podman, watch: Watch) -> None:
    script = "while :; do (x=a; while :; do x=$x$x; done); sleep 0.2; done"
    podman.run("hungry", script, "--memory", "24m", "--memory-swap", "24m")
    wait_for(lambda: "oom_killed" in watch.types("hungry"))
    hungry = watch.containers["hungry"]
    assert hungry.oom_kills >= 1
    assert hungry.memory_limit_bytes == 24 * MiB
    assert watch.readings["workload_oom_kills_total[localhost/tiny]"] >= 1
    assert 0 < watch.readings["workload_memory_limit_used_ratio[localhost/tiny]"] <= 1


def test_one_that_somebody_stops_is_no_failure(podman: Podman, watch: Watch) -> None:
    podman.run("asked", "sleep 1000")
    wait_for(lambda: watch.types("asked") == ["started"])
    podman("stop", "--time", "0", "asked")
    wait_for(lambda: watch.types("asked") == ["started", "exited"])
    assert watch.readings["workload_failures_total[localhost/tiny]"] == 0


def test_its_service_goes_and_comes_back(podman: Podman, watch: Watch) -> None:
    podman.run("steady", "sleep 1000")
    wait_for(lambda: watch.types("steady") == ["started"])
    [daemon] = watch.collector._daemons.values()
    podman.stop_service()
    wait_for(lambda: not daemon.is_connected)
    watch.read()
    assert watch.containers["steady"].state == "running"
    assert "cannot be asked for names of containers" in watch.problems[-1]
    podman.start_service()
    wait_for(lambda: daemon.is_connected)
    podman("kill", "steady")
    wait_for(lambda: "exited" in watch.types("steady"))


def test_the_commands(podman: Podman, watch: Watch, tmp_path: Path) -> None:
    podman.run("shown", "sleep 1000", "--label", "com.docker.compose.project=shop",
               "--label", "com.docker.compose.service=web")  # fmt: skip
    config = tmp_path / "agent.yml"
    config.write_text(f"data_dir: {tmp_path}\ncollectors:\n  containers:\n    sockets: {podman.socket}\n")

    def agent(*arguments: str) -> str:
        command = [sys.executable, "-m", "bongsu.agent", *arguments, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    document: dict[str, Any] = json.loads(agent("once", "--format", "json"))
    [shown] = [row for row in document["containers"] if row["name"] == "shown"]
    assert (shown["state"], shown["workload"], shown["runtime"]) == ("running", "shop/web", "podman")
    table = agent("once").partition("CONTAINERS\n")[2]
    assert any("shown" in line and "shop/web" in line for line in table.splitlines())
    assert f"names from {podman.socket}" in agent("check")


def cpu_seconds(podman: Podman, name: str) -> float:
    """Podman writes 1m2.5s, 2.5s, 12.5ms or 12.5µs."""
    match = re.fullmatch(r"(?:(\d+)m)?([\d.]+)(s|ms|µs)", stats(podman, name)["cpu_time"])
    assert match is not None
    return int(match[1] or 0) * 60 + float(match[2]) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[match[3]]


def stats(podman: Podman, name: str) -> dict[str, str]:
    answer: dict[str, str] = json.loads(podman("stats", "--no-stream", "--format", "json", name))[0]
    return answer
