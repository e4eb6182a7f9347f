"""What the services of systemd use."""

import math
from pathlib import Path

import pytest

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.services import DEFAULT_LIMIT, ServicesCollector
from bongsu.agent.sampling.assembly import Assembler
from tests.support.agent_fakes import by_series, fake_ps
from tests.support.cgroup_trees import MiB, Tree

HOUR, BATCH = 3600.0, 300.0
OTHERS = "(others)"


class Machine:
    """A tree of control groups and the collector beside it, with a clock that the test sets.

    It starts at a multiple of an hour, before the groups of the test are made, so that they are young until ``age``.
    """

    def __init__(self, folder: Path, version: int = 2, limit: int = DEFAULT_LIMIT, **filters: Filter) -> None:
        self.tree = Tree(folder, version)
        self.now = 400_000 * HOUR
        options = Options(filters, {"limit": limit}, proc=str(self.tree.proc), sys=str(self.tree.sys))
        self.collector = ServicesCollector(fake_ps(), options, monotonic=lambda: self.now, wall=lambda: self.now)
        self.assembler = Assembler(lambda topic, problem: None)
        self.assembler.declare(self.collector)
        self.layouts: list[int] = []

    def service(self, name: str, **numbers: int) -> None:
        self.tree.group(f"/system.slice/{name}.service", **numbers)  # type: ignore[arg-type]

    def tick(self, seconds: float = 30.0) -> dict[str, float]:
        self.now += seconds
        readings = list(self.collector.collect())
        self.assembler.frame(int(self.now * 1000), readings)
        if self.assembler.layout is not None and self.assembler.layout.id not in self.layouts[-1:]:
            self.layouts.append(self.assembler.layout.id)
        return by_series(readings)

    def age(self, *names: str) -> None:
        """As if these services, or all, had been started an hour ago."""
        for name, service in self.collector._services.items():
            if not names or name in names:
                service.created = self.now - HOUR

    def chosen(self) -> dict[str, float]:
        """The readings after the next choice."""
        self.age()
        return self.tick(BATCH)


def shown(readings: dict[str, float]) -> list[str]:
    """The services with series of their own."""
    begin = "service_cpu_usage_ratio["
    return [name[len(begin) : -1] for name in readings if name.startswith(begin) and OTHERS not in name]


def of(readings: dict[str, float], metric: str, service: str = OTHERS) -> float:
    return readings[f"service_{metric}[{service}]"]


@pytest.mark.parametrize("hierarchy", ["version 2", "version 1", "both"])
def test_what_a_service_uses(tmp_path: Path, hierarchy: str) -> None:
    machine = Machine(tmp_path, 2 if hierarchy == "version 2" else 1)
    numbers = {"memory": 30 * MiB, "inactive": 10 * MiB, "processes": 4, "read": 4096, "written": 8192}
    machine.service("nginx", cpu=5, **numbers)
    if hierarchy != "version 2":
        # That of systemd itself; with both, in version 2 without controllers.
        folder = "systemd" if hierarchy == "version 1" else "unified"
        (machine.tree.sys / "fs/cgroup" / folder / "system.slice/nginx.service").mkdir(parents=True)
    machine.tick()
    machine.chosen()
    machine.service("nginx", cpu=20, **numbers)
    readings = machine.tick(30)
    assert of(readings, "cpu_usage_ratio", "nginx") == pytest.approx(15 / 30)
    assert of(readings, "memory_working_set_bytes", "nginx") == 20 * MiB
    assert of(readings, "processes", "nginx") == 4
    assert of(readings, "disk_read_bytes_total", "nginx") == 4096
    assert of(readings, "disk_written_bytes_total", "nginx") == 8192
    assert readings["services_in_others"] == 0


def test_the_young_the_transient_and_the_smallest_are_others(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limit=2)
    for number, name in enumerate(("small", "middle", "large", "run-u7", "run-r0123abc")):
        machine.service(name, memory=(number + 1) * 10 * MiB, inactive=0, processes=number)
    machine.tree.group("/system.slice/docker-0123.scope", memory=900 * MiB)
    readings = machine.tick()
    assert shown(readings) == [], "all are young"
    assert readings["services_in_others"] == 5
    readings = machine.chosen()
    assert sorted(shown(readings)) == ["large", "middle"]
    assert of(readings, "memory_working_set_bytes") == (10 + 40 + 50) * MiB
    assert of(readings, "processes") == 0 + 3 + 4
    assert readings["services_in_others"] == 3
    assert machine.collector.note == "5 services, 3 of them in (others)"


def test_instances_of_a_template_are_services(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.tree.group("/system.slice/system-getty.slice/getty@tty1.service")
    machine.service("nginx")
    machine.tree.group("/system.slice/nginx.service/below.service")
    machine.tick()
    assert sorted(shown(machine.chosen())) == ["getty@tty1", "nginx"]


def test_a_name_that_is_excluded_is_nowhere(tmp_path: Path) -> None:
    machine = Machine(tmp_path, names=Filter(exclude=("snap.*",)))
    machine.service("snap.lxd.daemon", memory=500 * MiB)
    machine.service("cron", memory=MiB, inactive=0)
    machine.tick()
    readings = machine.chosen()
    assert shown(readings) == ["cron"]
    assert readings["services_in_others"] == 0


def test_one_that_uses_twice_as_much_takes_the_place_of_another(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limit=1)
    machine.service("first", memory=100 * MiB, inactive=0)
    machine.tick()
    assert shown(machine.chosen()) == ["first"]
    machine.service("second", memory=190 * MiB, inactive=0)
    machine.tick()
    assert shown(machine.chosen()) == ["first"]
    machine.service("second", memory=210 * MiB, inactive=0)
    assert shown(machine.chosen()) == ["second"]
    # Or as much CPU: a tenth of a core is like 410 MiB.
    machine.service("first", memory=100 * MiB, inactive=0, cpu=round(0.1 * BATCH))
    assert shown(machine.chosen()) == ["first"]


def test_a_service_that_is_started_again_keeps_its_series(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.service("nginx", cpu=100)
    machine.service("cron")
    machine.tick()
    machine.chosen()
    machine.tree.remove("/system.slice/nginx.service")
    assert shown(machine.tick()) == ["cron"]
    machine.service("nginx", cpu=1)
    assert sorted(shown(machine.tick())) == ["cron", "nginx"]
    machine.age("cron")
    assert sorted(shown(machine.tick(BATCH))) == ["cron", "nginx"], "although it is young"
    # So quickly that nobody saw it end.
    machine.service("nginx", cpu=0)
    assert math.isnan(of(machine.tick(), "cpu_usage_ratio", "nginx"))
    machine.service("nginx", cpu=3)
    assert of(machine.tick(), "cpu_usage_ratio", "nginx") == pytest.approx(0.1)


def test_disk_traffic_of_others_never_falls(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limit=1)
    machine.service("large", memory=900 * MiB, read=7)
    machine.service("old", memory=MiB, read=1_000_000)
    machine.tick()
    assert of(machine.chosen(), "disk_read_bytes_total") == 0, "from before the agent began"
    machine.service("old", memory=MiB, read=1_000_050)
    machine.service("run-u1", memory=MiB, read=30)
    assert of(machine.tick(), "disk_read_bytes_total") == 50 + 30
    machine.tree.remove("/system.slice/run-u1.service")
    machine.service("old", memory=MiB, read=20)
    assert of(machine.tick(), "disk_read_bytes_total") == 80, "a smaller number alone is no new beginning"
    assert of(machine.tick(), "disk_read_bytes_total") == 80


def test_where_io_is_not_accounted_for_there_are_no_series_of_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.service("nginx")
    machine.tick()
    readings = machine.chosen()
    assert shown(readings) == ["nginx"]
    assert not [name for name in readings if "disk" in name]


def test_services_that_come_and_go_make_no_layouts(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.service("nginx")
    machine.tick()
    machine.chosen()
    machine.layouts.clear()
    for number in range(60):
        machine.service(f"run-u{number}", processes=1)
        machine.service(f"backup@{number}")
        machine.tick()
        machine.tree.remove(f"/system.slice/run-u{number}.service")
        machine.tree.remove(f"/system.slice/backup@{number}.service")
    assert len(machine.layouts) <= 1


def test_a_machine_without_systemd_has_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.tree.group("/docker/abc")
    assert machine.tick() == {}
