"""Which machines a fleet consists of."""

from collections import Counter

from bongsu.server.ingest.validation import check_agent
from bongsu.simulator.machine import make_machine
from bongsu.simulator.roles import MIX, ROLES
from bongsu.simulator.server import SimulatedServer


def test_the_first_twenty_have_every_role_and_are_numbered_within_it() -> None:
    names = [make_machine(index, seed=1).name for index in range(20)]
    assert names[:8] == ["web-01", "db-01", "cache-01", "worker-01", "api-01", "web-02", "storage-01", "web-03"]
    assert {name.rpartition("-")[0] for name in names} == set(ROLES) == set(MIX)


def test_names_differ_in_a_large_fleet_and_carry_the_prefix() -> None:
    names = [make_machine(index, seed=1, prefix="lab.").name for index in range(2_000)]
    assert len(set(names)) == 2_000
    assert all(name.startswith("lab.") for name in names)


def test_a_seed_makes_the_same_machines_and_another_one_makes_others() -> None:
    machines = [make_machine(index, seed=7) for index in range(40)]
    again = [make_machine(index, seed=7) for index in range(40)]
    others = [make_machine(index, seed=8) for index in range(40)]
    assert [machine.facts for machine in machines] == [machine.facts for machine in again]
    assert [machine.volumes for machine in machines] == [machine.volumes for machine in again]
    assert [machine.facts for machine in machines] != [machine.facts for machine in others]


def test_machines_vary() -> None:
    machines = [make_machine(index, seed=1) for index in range(200)]
    assert len({machine.facts.os for machine in machines}) > 2
    assert len({machine.facts.cpu_count for machine in machines}) > 3
    assert len({machine.facts.memory_total_bytes for machine in machines}) > 5
    sites = Counter((machine.role.name, machine.tags["site"]) for machine in machines)
    assert len(sites) == 3 * len(ROLES)  # every role at every site


def test_the_api_server_takes_what_they_say_of_themselves() -> None:
    for index in range(40):
        server = SimulatedServer(index, seed=1, interval_ms=10_000)
        check_agent(server.identity("0" * 36), server.machine.facts)
