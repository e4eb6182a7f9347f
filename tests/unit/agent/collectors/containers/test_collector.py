"""Series and lists from control groups alone."""

import math
from pathlib import Path

import pytest

from bongsu.agent.collectors.base import Filter
from bongsu.agent.collectors.containers.collector import parse_sockets
from bongsu.agent.collectors.containers.record import URGENT_AN_HOUR
from bongsu.core.errors import ConfigError
from bongsu.wire.limits import MAX_CONTAINERS
from tests.support.cgroup_trees import MiB, Tree, full_id
from tests.support.driven_containers import HOUR, Driven


def path_of(number: int) -> str:
    return f"/system.slice/docker-{full_id(number)}.scope"


def test_a_machine_without_containers(tmp_path: Path) -> None:
    driven = Driven(Tree(tmp_path))
    assert [driven.tick() for _ in range(20)] == [{}] * 20
    assert driven.lists == []
    assert driven.problems == {}
    assert driven.collector.note == "no container, and no daemon at any socket"


@pytest.mark.parametrize("version", [1, 2])
def test_a_workload_has_the_sum_of_its_containers_at_once(tmp_path: Path, version: int) -> None:
    tree = Tree(tmp_path, version)
    tree.group(path_of(1), cpu=100, memory=10 * MiB, inactive=2 * MiB, limit=16 * MiB)
    tree.group(path_of(2), cpu=50, memory=5 * MiB, inactive=1 * MiB, limit=16 * MiB)
    driven = Driven(tree)
    assert driven.tick()["workload_containers[docker]"] == 2
    tree.group(path_of(1), cpu=115, memory=12 * MiB, inactive=2 * MiB, limit=16 * MiB, oom_kills=2)
    tree.group(path_of(2), cpu=52, memory=5 * MiB, inactive=1 * MiB, limit=16 * MiB)
    assert driven.tick() == {
        "workload_containers[docker]": 2,
        "workload_cpu_usage_ratio[docker]": pytest.approx(1.7),  # (15 + 2) / 10
        "workload_memory_working_set_bytes[docker]": 14 * MiB,
        "workload_memory_limit_used_ratio[docker]": 10 / 16,
        "workload_oom_kills_total[docker]": 2,
    }
    [event] = driven.lists[-1].events
    assert (event.type, event.container_id) == ("oom_killed", "000000000001")
    largest, other = driven.lists[-1].containers
    assert (largest.id, largest.name, largest.workload, largest.runtime) == (
        "000000000001", "000000000001", "docker", "docker",
    )  # fmt: skip
    assert (largest.cpu_ratio, largest.memory_bytes, largest.memory_limit_bytes) == (1.5, 10 * MiB, 16 * MiB)
    assert (largest.processes, largest.oom_kills, other.oom_kills) == (3, 2, 0)


def test_kills_before_the_agent_started_are_no_news(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(path_of(1), oom_kills=7)
    driven = Driven(tree)
    assert driven.tick()["workload_oom_kills_total[docker]"] == 0
    assert driven.lists[-1].events == []
    assert driven.lists[-1].containers[0].oom_kills == 7


def test_a_container_has_series_after_five_minutes_at_a_multiple_of_five(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.process(9, "\n\n  eth0: 70 0 0 0 0 0 0 0 80 0\n")
    driven = Driven(tree)
    driven.tick()
    tree.group(path_of(1), cpu=1)
    driven.tick(30)
    driven.collector._tracked[full_id(1)].group_created_ms = int(driven.now * 1000)
    first_at = 0.0
    for _ in range(70):
        if any(name.startswith("container_") for name in driven.tick()) and not first_at:
            first_at = driven.now
    assert first_at % 300 == 0
    assert 340 < first_at - 400_000 * HOUR <= 640
    tree.group(
        path_of(1), cpu=6, limit=100 * MiB, memory=50 * MiB, inactive=0, periods=100, throttled=40, read=1, written=2,
        pids=(9,),
    )  # fmt: skip
    driven.tick()
    tree.group(
        path_of(1), cpu=8, limit=100 * MiB, memory=50 * MiB, inactive=0, periods=200, throttled=65, read=1, written=2,
        pids=(9,),
    )  # fmt: skip
    readings = {name: value for name, value in driven.tick().items() if name.startswith("container_")}
    name = "[000000000001]"
    assert readings == {
        f"container_cpu_usage_ratio{name}": pytest.approx(0.2),
        f"container_cpu_throttled_ratio{name}": 0.25,
        f"container_memory_working_set_bytes{name}": 50 * MiB,
        f"container_memory_limit_bytes{name}": 100 * MiB,
        f"container_memory_limit_used_ratio{name}": 0.5,
        f"container_disk_read_bytes_total{name}": 1,
        f"container_disk_written_bytes_total{name}": 2,
        f"container_network_receive_bytes_total{name}": 70,
        f"container_network_transmit_bytes_total{name}": 80,
        f"container_processes{name}": 3,
    }


def test_an_agent_that_starts_knows_old_containers_at_once(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(path_of(1))
    driven = Driven(tree)
    driven.now += 100 * 365 * 24 * HOUR  # the group was made long before
    assert "container_processes[000000000001]" in driven.tick()


def test_a_container_that_is_gone_is_listed_once_more_and_its_workload_reports_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(path_of(1), memory=30 * MiB, inactive=0)
    driven = Driven(tree)
    driven.tick()
    driven.tick(30)
    tree.remove(path_of(1))
    assert driven.tick()["workload_containers[docker]"] == 0
    driven.tick(60)
    assert [row.memory_bytes for row in driven.lists[-1].containers] == [30 * MiB]
    assert driven.tick(60)["workload_containers[docker]"] == 0
    assert driven.lists[-1].containers == []
    assert driven.tick(2 * HOUR) == {}


def test_a_group_that_is_made_anew_counts_from_zero(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group("/lxc/web", cpu=1000, oom_kills=1)
    driven = Driven(tree)
    driven.tick()
    tree.group("/lxc/web", cpu=1, oom_kills=0)
    assert driven.tick()["workload_cpu_usage_ratio[web]"] == 0
    tree.group("/lxc/web", cpu=6, oom_kills=1)
    readings = driven.tick()
    assert readings["workload_cpu_usage_ratio[web]"] == pytest.approx(0.5)
    assert readings["workload_oom_kills_total[web]"] == 1


def test_one_list_a_minute(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(path_of(1))
    driven = Driven(tree)
    for _ in range(62):
        driven.tick()
    # The first two, of which the scheduler leaves one out, and one a minute.
    assert len(driven.lists) == 12


def test_a_kill_is_listed_at_once_but_not_without_end(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(path_of(1), oom_kills=0)
    driven = Driven(tree)
    for _ in range(3):
        driven.tick()
    assert len(driven.lists) == 2
    tree.group(path_of(1), oom_kills=1)
    driven.tick()
    assert [event.type for event in driven.lists[2].events] == ["oom_killed"], "before the minute is over"
    for kills in range(2, 102):
        tree.group(path_of(1), oom_kills=kills)
        driven.tick()
    minutes = 104 * 10 // 60
    assert len(driven.lists) <= 2 + minutes + 1 + URGENT_AN_HOUR
    driven.tick(60)
    assert sum(len(listed.events) for listed in driven.lists) == 101, "none is lost"


def test_names_can_be_left_out(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group("/lxc/web")
    tree.group("/lxc/scratch", oom_kills=1)
    driven = Driven(tree, names=Filter(exclude=("scr*",)))
    driven.tick()
    tree.group("/lxc/scratch", oom_kills=2)
    assert {name.partition("[")[2] for name in driven.tick()} == {"web]"}
    assert [row.name for row in driven.lists[-1].containers] == ["web"]
    assert driven.lists[-1].events == []


def test_names_with_odd_characters(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    (tree.sys / "fs/cgroup/lxc").mkdir()
    tree.group("/lxc/line\nbreak")
    tree.group("/lxc/\udcff" + "한" * 80)
    driven = Driven(tree)
    driven.tick()
    driven.tick()
    names = {row.name for row in driven.lists[-1].containers}
    assert "line\\nbreak" in names
    assert all(len(name.encode()) <= 256 for name in names)
    assert driven.problems == {}


def test_500_containers_and_400_workloads_stay_within_their_limits(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for number in range(400):
        tree.group(f"/lxc/job-{number}", memory=number * MiB)
    for number in range(100):
        tree.group(path_of(number))
    driven = Driven(tree)
    driven.tick()
    driven.age()
    readings = driven.tick(300)
    assert sum(name.startswith("workload_containers") for name in readings) == 200
    assert "workload_containers[job-399]" in readings
    assert sum(name.startswith("container_processes") for name in readings) == 300
    assert len(driven.lists[-1].containers) == 500
    assert driven.problems == {
        "workloads": "only 200 workloads have series; 201 have none",
        "containers": "only 300 containers have series; 200 have none",
    }
    assert not any(math.isinf(value) for value in readings.values())


def test_a_list_has_an_end(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for number in range(MAX_CONTAINERS + 5):
        tree.group(f"/lxc/job-{number}")
    driven = Driven(tree)
    driven.tick()
    assert len(driven.lists[-1].containers) == MAX_CONTAINERS
    assert driven.problems["list of containers"] == "only 1000 of 1005 containers are listed"


def test_a_thousand_short_containers_an_hour_make_few_layouts(tmp_path: Path) -> None:
    """Each a workload of its own, which is the worst: images of builds."""
    tree = Tree(tmp_path)
    driven = Driven(tree)
    tree.group("/lxc/steady")
    driven.tick()
    previous: list[str] = []
    for tick in range(360):
        for path in previous:
            tree.remove(path)
        previous = [f"/lxc/build-{tick}-{number}" for number in range(3)]
        for path in previous:
            tree.group(path)
        driven.tick()
    # 10 at once, 12 at multiples of five minutes, and 6 in which series are dropped.
    assert 10 <= len(driven.layouts) <= 30
    assert len(driven.assembler.layout.series) <= 200 * 8  # type: ignore[union-attr]


def test_settings() -> None:
    assert parse_sockets("/run/a.sock, /run/b.sock") == ("/run/a.sock", "/run/b.sock")
    assert parse_sockets("none") == ()
    for wrong in ("", "docker.sock", "tcp://127.0.0.1:2375"):
        with pytest.raises(ConfigError, match="is not a list of paths"):
            parse_sockets(wrong)


def test_a_configured_socket_that_is_not_there_is_told(tmp_path: Path) -> None:
    driven = Driven(Tree(tmp_path), (f"{tmp_path}/none.sock",))
    driven.tick()
    assert driven.problems == {
        f"socket {tmp_path}/none.sock": f"{tmp_path}/none.sock cannot be asked for names of containers: "
        "there is no such socket"
    }
