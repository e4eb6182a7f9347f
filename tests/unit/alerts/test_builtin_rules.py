"""The built-in rules: quiet on a healthy server, and they fire on one with the problem."""

import pytest

from bongsu.agent.collectors import COLLECTORS
from bongsu.alerts.checks import check_rule
from bongsu.alerts.conditions import CLOCK_SKEW
from bongsu.alerts.cycle import finite_or_none
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.rules import Rule
from bongsu.alerts.rules_file import parse_rules
from bongsu.alerts.state import Move, Table
from bongsu.alerts.watched import WatchedServer
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from tests.support.repository import REPOSITORY

TEXT = (REPOSITORY / "config/alerts.yml").read_text()
RULES = {rule.name: rule for rule in parse_rules(TEXT)}
NOW = 1_750_000_000_000

ROOT = (("device", "/dev/sda1"), ("fstype", "ext4"), ("mountpoint", "/"))
SERIES = {
    "cpu": Series("cpu_usage_ratio", (), "ratio"),
    "load": Series("load_15m"),
    "memory": Series("memory_usage_ratio", (), "ratio"),
    "swap": Series("swap_usage_ratio", (), "ratio"),
    "swap_in": Series("swap_in_bytes_total", (), "bytes", Kind.COUNTER),
    "disk": Series("filesystem_usage_ratio", ROOT, "ratio"),
    "inodes": Series("filesystem_inodes_usage_ratio", ROOT, "ratio"),
    "errors": Series("network_receive_errors_total", (("interface", "eth0"),), "", Kind.COUNTER),
}
LAYOUT = Layout.of(tuple(SERIES.values()))
HEALTHY = {
    "cpu": 0.3,
    "load": 1.0,
    "memory": 0.6,
    "swap": 0.1,
    "swap_in": 0.0,
    "disk": 0.5,
    "inodes": 0.2,
    "errors": 0.0,
}


def test_the_built_in_rules_equal_the_example() -> None:
    assert (REPOSITORY / "src/bongsu/alerts/rules.yml").read_text() == TEXT


def test_every_rule_is_documented() -> None:
    documentation = (REPOSITORY / "docs/alerts.md").read_text()
    assert [name for name in RULES if f"| {name} |" not in documentation] == []


def test_agents_send_every_metric() -> None:
    sent = {metric.name for collector in COLLECTORS for metric in collector.metrics} | {CLOCK_SKEW}
    watched = {rule.series_condition.metric for rule in RULES.values() if rule.series_condition}
    assert watched <= sent


def test_no_rule_has_warnings() -> None:
    server = WatchedServer(1, "web-1", {}, 10_000, NOW)
    for rule in RULES.values():
        assert check_rule(rule, [server], {1: [LAYOUT]}, set()) == []


def minutes_fired(
    rule: Rule, hours: float, *, skew: float = 0.0, silent_after: float | None = None, **sick: tuple[float, float]
) -> list[float]:
    """The minutes at which the rule fires on a server that is healthy but for ``name=(level, growth per hour)``."""
    fleet = Fleet()
    fleet.set_servers([WatchedServer(1, "web-1", {}, 60_000, NOW)], {1: [LAYOUT]})
    fleet.set_rules({1: rule})
    fleet.fill(1, {}, NOW)
    policy, table, fired = Policy.of(rule), Table.of(fleet.watches[1].keys, NOW), []
    for minute in range(round(hours * 60)):
        now_ms = NOW + minute * 60_000
        levels = HEALTHY | {name: level + growth * minute / 60 for name, (level, growth) in sick.items()}
        if silent_after is None or minute < silent_after:
            frame = Frame(LAYOUT.id, now_ms + round(skew * 1000), pack([levels[name] for name in SERIES]))
            fleet.add_frames([(1, frame)], now_ms)
        table, transitions = advance(policy, table, measure(fleet, 1, now_ms), now_ms)
        fired += [float(minute) for transition in transitions if transition.move is Move.FIRED]
    return fired


@pytest.mark.parametrize("name", RULES)
def test_no_rule_fires_on_a_healthy_day(name: str) -> None:
    assert minutes_fired(RULES[name], 24, disk=(0.5, 0.001), errors=(0, 20), swap_in=(0, 50e6)) == []


@pytest.mark.parametrize(
    ("name", "sick", "first", "last"),
    [
        pytest.param("Server down", {"silent_after": 60}, 69, 72, id="ten intervals of a minute and 30 s"),
        pytest.param("CPU busy", {"cpu": (0.99, 0)}, 15, 21, id="busy for 15 minutes"),
        pytest.param("Load high", {"load": (20, 0)}, 10, 21, id="load"),
        pytest.param("Memory short", {"memory": (0.97, 0)}, 5, 11, id="memory"),
        pytest.param("Swapping", {"swap_in": (0, 3600 * 4e6)}, 10, 22, id="4 MB/s from swap"),
        pytest.param("Swap full", {"swap": (0.95, 0)}, 30, 41, id="swap"),
        pytest.param("Disk space low", {"disk": (0.92, 0)}, 10, 11, id="disk"),
        pytest.param("Disk space nearly gone", {"disk": (0.98, 0)}, 2, 3, id="disk nearly gone"),
        pytest.param("Inodes low", {"inodes": (0.95, 0)}, 10, 11, id="inodes"),
        # 0.7 + 0.02 per hour: after 6 hours, half of the history, 9 hours are left.
        pytest.param("Disk full within a day", {"disk": (0.7, 0.02)}, 360, 420, id="forecast"),
        pytest.param("Network errors", {"errors": (0, 3600 * 5)}, 10, 22, id="5 errors a second"),
        pytest.param("Clock ahead", {"skew": 20.0}, 10, 21, id="20 s ahead"),
        pytest.param("Clock behind", {"skew": -90.0}, 10, 21, id="90 s behind"),
    ],
)  # fmt: skip
def test_each_rule_fires_once_for_its_problem(name: str, sick: dict, first: float, last: float) -> None:
    fired = minutes_fired(RULES[name], 10, **sick)
    assert len(fired) == 1
    assert first <= fired[0] <= last


def test_nan_and_infinity_are_not_stored() -> None:
    assert [finite_or_none(value) for value in (1.5, float("inf"), float("nan"))] == [1.5, None, None]
