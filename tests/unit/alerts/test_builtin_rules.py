"""The built-in rules: quiet on a healthy server, and they fire on one with the problem."""

from collections.abc import Callable, Mapping

import pytest

from bongsu.agent.collectors import COLLECTORS
from bongsu.alerts.checks import check_rule
from bongsu.alerts.conditions import COMPUTED
from bongsu.alerts.cycle import finite_or_none
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.rules import Rule
from bongsu.alerts.rules_file import parse_rules
from bongsu.alerts.state import Move, Table
from bongsu.alerts.watched import WatchedServer
from bongsu.alerts.watches import operand_metrics
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Layout, Series
from tests.support.repository import REPOSITORY

TEXT = (REPOSITORY / "config/alerts.yml").read_text()
RULES = {rule.name: rule for rule in parse_rules(TEXT)}
ENABLED = {name: rule for name, rule in RULES.items() if rule.enabled}
NOW = 1_750_000_000_000

STEP = 60

METRICS = {metric.name: metric for collector in COLLECTORS for metric in collector.metrics}
GIB, TB = 1024.0**3, 1e12
# A value, or what it is at a second.
Values = float | Callable[[float], float]


def series(metric: str, **labels: str) -> Series:
    """A series as the agent sends it."""
    return Series(metric, tuple(sorted(labels.items())), METRICS[metric].unit, METRICS[metric].kind)


def a_filesystem(
    mountpoint: str,
    size: float,
    used: float,
    *,
    device: str = "",
    fstype: str = "ext4",
    ro: Values = 0.0,
    inodes: float = 0.1,
) -> dict[Series, Values]:
    """``used``: the share in use."""
    labels = {"device": device or f"/dev/disk{mountpoint}", "fstype": fstype, "mountpoint": mountpoint}
    return {
        series("filesystem_total_bytes", **labels): size,
        series("filesystem_usage_ratio", **labels): used,
        series("filesystem_available_bytes", **labels): size * (1 - used),
        series("filesystem_inodes_usage_ratio", **labels): inodes,
        series("filesystem_read_only", **labels): ro,
    }


def readings(**values: Values) -> dict[Series, Values]:
    """Readings without labels."""
    return {series(metric): value for metric, value in values.items()}


def workload(metric: str) -> Series:
    return series(f"workload_{metric}", workload="job")


def memory(usable: float, left: float) -> dict[Series, Values]:
    return readings(memory_usable_bytes=usable * GIB, memory_left_bytes=left * GIB)


HEALTHY: dict[Series, Values] = {
    **readings(
        cpu_usage_ratio=0.3,
        cpu_usage_without_nice_ratio=0.3,
        cpu_cores=4.0,
        load_15m=1.0,
        swap_usage_ratio=0.1,
        swap_in_bytes_total=0.0,
        swap_out_bytes_total=0.0,
        memory_oom_kills_total=3.0,
        system_uptime_seconds=lambda second: 86_400 + second,
    ),
    **memory(16, 6),
    **a_filesystem("/", 100 * GIB, 0.5),
    series("network_receive_errors_total", interface="eth0"): 0.0,
    series("systemd_unit_failed", unit="cron.service"): 0.0,
    series("workload_containers", workload="shop/web"): 2.0,
    series("workload_oom_kills_total", workload="shop/web"): 5.0,
    series("workload_restarts_total", workload="shop/web"): 9.0,
    series("workload_unhealthy_containers", workload="shop/web"): 0.0,
    series("workload_memory_limit_used_ratio", workload="shop/web"): 0.8,
    series("workload_evictions_total", namespace="shop", workload="shop/web"): 2.0,
    series("kubernetes_node_condition", condition="Ready"): 1.0,
    series("kubernetes_node_condition", condition="MemoryPressure"): 0.0,
}
LAYOUT = Layout.of(tuple(HEALTHY))


def test_the_built_in_rules_equal_the_example() -> None:
    assert (REPOSITORY / "src/bongsu/alerts/rules.yml").read_text() == TEXT


def test_every_rule_is_documented() -> None:
    documentation = (REPOSITORY / "docs/alerts.md").read_text()
    assert [name for name in RULES if f"| {name} |" not in documentation] == []


def test_agents_send_every_metric() -> None:
    conditions = [rule.series_condition for rule in RULES.values() if rule.series_condition]
    watched = {condition.metric for condition in conditions}.union(*map(operand_metrics, conditions))
    assert watched <= METRICS.keys() | COMPUTED


def test_no_rule_has_warnings() -> None:
    server = WatchedServer(1, "web-1", {}, 10_000, NOW)
    for rule in RULES.values():
        assert check_rule(rule, [server], {1: [LAYOUT]}, set()) == []


def fired(
    readings: Mapping[Series, Values],
    hours: float,
    rules: Mapping[str, Rule] = ENABLED,
    *,
    interval: int = STEP,
    skew: float = 0.0,
    silent_after: float | None = None,
    off: range = range(0),
) -> list[tuple[str, float]]:
    """(rule, minute) of each alert that fires on a server with these readings. ``silent_after``, ``off``: seconds."""
    layout, fleet = Layout.of(tuple(readings)), Fleet()
    fleet.set_servers([WatchedServer(1, "web-1", {}, interval * 1000, NOW)], {1: [layout]})
    fleet.set_rules(dict(enumerate(rules.values())))
    fleet.fill(1, {}, NOW)
    tables = {rule_id: Table.of(watch.keys, NOW) for rule_id, watch in fleet.watches.items()}
    seen = []
    # The worker evaluates at least every 10 s; here it need not, but for a server that is silent.
    for second in range(0, round(hours * 3600), 10 if silent_after is not None else interval):
        now_ms = NOW + second * 1000
        if second % interval == 0 and (silent_after is None or second < silent_after) and second not in off:
            values = [value(second) if callable(value) else value for value in readings.values()]
            fleet.add_frames([(1, Frame(layout.id, now_ms + round(skew * 1000), pack(values)))], now_ms)
        for rule_id, rule in enumerate(rules.values()):
            tables[rule_id], transitions = advance(
                Policy.of(rule), tables[rule_id], measure(fleet, rule_id, now_ms), now_ms
            )
            seen += [(rule.name, second / 60) for transition in transitions if transition.move is Move.FIRED]
    return seen


def from_(second: float, before: float, after: float) -> Callable[[float], float]:
    return lambda now: after if now >= second else before


QUIET = [
    pytest.param({}, {}, id="a healthy server"),
    pytest.param(readings(cpu_cores=64.0, load_15m=40.0), {}, id="64 cores with a load of 40"),
    pytest.param(
        readings(cpu_usage_ratio=1.0, cpu_usage_without_nice_ratio=0.05, load_15m=4.0), {}, id="a build box with nice 19 at 100 %"
    ),
    pytest.param(readings(cpu_usage_without_nice_ratio=from_(600, 1.0, 0.3)), {}, id="a build of 10 minutes"),
    # 48 of 64 GiB are huge pages; 2 of the other 16 are left: 3 % of all memory, but 12 % of what is usable.
    pytest.param(memory(16, 2), {}, id="PostgreSQL with huge pages"),
    # The kernel says 2 GiB; the cache has 32 GiB and gives back 31 of them.
    pytest.param(memory(64, 33), {}, id="ZFS with a cache of half the memory"),
    pytest.param(memory(1024, 40), {}, id="1 TiB of memory with 4 % left"),
    pytest.param(memory(2, 0.4), {}, id="a container at 80 % of its limit"),
    pytest.param(a_filesystem("/data", 20 * TB, 0.92), {}, id="a disk of 20 TB at 92 %"),
    pytest.param(a_filesystem("/data", 20 * TB, 0.99), {}, id="a disk of 20 TB at 99 %: 200 GB are left"),
    pytest.param(a_filesystem("/boot", 0.5 * GIB, 0.75), {}, id="/boot of 512 MiB at 75 %"),
    pytest.param(a_filesystem("/boot/efi", 0.1 * GIB, 0.95, fstype="vfat"), {}, id="an EFI partition at 95 %"),
    pytest.param(a_filesystem("/boot/efi", 0.1 * GIB, 0.98, fstype="vfat"), {}, id="an EFI partition at 98 %"),
    pytest.param(a_filesystem("/mnt", 10 * GIB, 0.99, device="nas:/export", fstype="nfs4"), {}, id="an NFS export at 99 %"),
    pytest.param(a_filesystem("/mnt", 10 * GIB, 0.99, device="[fe80::1]:/export", fstype="nfs4"), {}, id="an NFS export by IPv6"),
    pytest.param(a_filesystem("/mnt", 10 * GIB, 0.99, device="//nas/share", fstype="cifs"), {}, id="a Windows share at 99 %"),
    pytest.param(a_filesystem("/mnt", 10 * GIB, 0.5, device="nas:/export", fstype="nfs4", inodes=0.99), {}, id="an NFS export without inodes"),
    pytest.param(a_filesystem("/snap/core", 0.1 * GIB, 1.0, fstype="squashfs", ro=1.0, inodes=1.0), {}, id="a snap, always 100 % full"),
    pytest.param(a_filesystem("/media/cd", 4 * GIB, 1.0, fstype="iso9660", ro=1.0), {}, id="an ISO image"),
    pytest.param(a_filesystem("/data", 20 * GIB, 0.5, ro=from_(1800, 0.0, float("nan"))), {}, id="a disk that is unmounted"),
    pytest.param(readings(swap_usage_ratio=1.0), {}, id="swap full but idle"),
    pytest.param(readings(swap_in_bytes_total=lambda second: min(second, 300) * 4e6), {}, id="5 minutes of reading back from swap"),
    pytest.param(readings(system_uptime_seconds=lambda second: second), {}, id="a new server"),
    pytest.param({series("network_receive_errors_total", interface="eth0"): lambda second: second // 180}, {}, id="20 damaged packets an hour"),
    pytest.param({series("systemd_unit_failed", unit="a.service"): lambda second: float(600 <= second < 780)}, {}, id="a service that fails for 3 minutes"),
    pytest.param({workload("containers"): from_(600, 1.0, 0.0)}, {}, id="a job that has ended"),
    pytest.param({workload("restarts_total"): lambda second: float(second // 600)}, {}, id="a restart each 10 minutes"),
    pytest.param({workload("unhealthy_containers"): lambda second: float(600 <= second < 900)}, {}, id="a container that is unhealthy for 5 minutes"),
    pytest.param({workload("memory_limit_used_ratio"): lambda second: 0.99 if 600 <= second < 900 else 0.5}, {}, id="a peak of memory of 5 minutes"),
    pytest.param({}, {"skew": -30.0}, id="a clock 30 s behind, or a slow network"),
    pytest.param({}, {"skew": 3.0}, id="a clock 3 s ahead"),
    pytest.param({}, {"interval": 1, "silent_after": 540}, id="an interval of 1 s, silent for 50 s"),
    pytest.param({}, {"interval": 60, "silent_after": 440}, id="an interval of 60 s, silent for 170 s"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "how"), QUIET)
def test_no_rule_fires_without_reason(changes: dict, how: dict) -> None:
    assert fired(HEALTHY | changes, 595 / 3600 if "silent_after" in how else 1.0, **how) == []


@pytest.mark.parametrize(
    ("changes", "how", "expected", "first", "last"),
    [
        pytest.param(readings(cpu_usage_without_nice_ratio=0.99), {}, "CPU busy", 15, 21, id="busy for 15 minutes"),
        pytest.param(readings(cpu_cores=64.0, load_15m=150.0), {}, "Load high", 10, 21, id="64 cores with a load of 150"),
        pytest.param(readings(cpu_cores=2.0, load_15m=6.0), {}, "Load high", 10, 21, id="2 cores with a load of 6"),
        pytest.param(memory(16, 0.5), {}, "Memory short", 5, 11, id="3 % of the memory left"),
        pytest.param(memory(2, 0.1), {}, "Memory short", 5, 11, id="a container at 95 % of its limit"),
        pytest.param(memory(1024, 3), {}, "Memory short", 5, 11, id="1 TiB of memory with 3 GiB left"),
        pytest.param(readings(swap_in_bytes_total=lambda second: second * 4e6), {}, "Swapping", 15, 22, id="swap thrashing"),
        pytest.param(readings(memory_oom_kills_total=from_(600, 3.0, 4.0)), {}, "Process killed for lack of memory", 10, 10, id="an OOM kill"),
        pytest.param(a_filesystem("/", 1 * GIB, 0.95), {}, "Disk space low", 10, 10, id="a root filesystem of 1 GiB at 95 %"),
        pytest.param(a_filesystem("/boot", 0.5 * GIB, 0.95), {}, "Disk space low", 10, 10, id="/boot at 95 %: the next kernel does not fit"),
        pytest.param(a_filesystem("/tank", 100 * GIB, 0.92, device="tank/data", fstype="zfs"), {}, "Disk space low", 10, 10, id="a dataset of ZFS"),
        pytest.param(a_filesystem("/", 100 * GIB, 0.5, inodes=0.95), {}, "Inodes low", 10, 10, id="no inodes left"),
        pytest.param(a_filesystem("/", 100 * GIB, 0.5, ro=from_(1800, 0.0, 1.0)), {}, "Filesystem read-only", 32, 32, id="ext4 remounted read-only"),
        pytest.param(readings(system_uptime_seconds=lambda second: 86_400 + second if second < 1800 else second - 1760), {}, "Restarted", 30, 30, id="a reboot"),
        pytest.param({series("systemd_unit_failed", unit="a.service"): from_(600, 0.0, 1.0)}, {}, "Service failed", 15, 15, id="a failed service"),
        pytest.param({workload("oom_kills_total"): from_(600, 5.0, 6.0)}, {}, "Container killed for lack of memory", 10, 10, id="an OOM kill in a container"),
        pytest.param({workload("restarts_total"): lambda second: max(0.0, second - 600) // 60}, {}, "Container keeps restarting", 12, 14, id="a restart each minute"),
        pytest.param({workload("unhealthy_containers"): from_(600, 0.0, 1.0)}, {}, "Container unhealthy", 15, 21, id="an unhealthy container"),
        pytest.param({workload("memory_limit_used_ratio"): from_(600, 0.5, 0.99)}, {}, "Container at its memory limit", 20, 26, id="a container at its limit"),
        pytest.param({series("workload_evictions_total", namespace="shop", workload="shop/web"): from_(600, 2.0, 3.0)}, {}, "Pod evicted", 10, 10, id="an eviction"),
        pytest.param({series("kubernetes_node_condition", condition="Ready"): from_(600, 1.0, 0.0)}, {}, "Node not ready", 15, 15, id="a node that is not ready"),
        pytest.param({series("kubernetes_node_condition", condition="MemoryPressure"): from_(600, 0.0, 1.0)}, {}, "Node under pressure", 15, 15, id="a node short of memory"),
        pytest.param({series("network_receive_errors_total", interface="eth0"): lambda second: second * 5}, {}, "Network errors", 10, 22, id="5 damaged packets a second"),
        pytest.param({}, {"skew": 20.0}, "Clock ahead", 10, 21, id="a clock 20 s ahead"),
        pytest.param({}, {"skew": -90.0}, "Clock behind", 10, 21, id="a clock 90 s behind"),
        pytest.param({}, {"interval": 1, "silent_after": 600}, "Server down", 11, 11.2, id="an interval of 1 s: down after a minute"),
        pytest.param({}, {"interval": 10, "silent_after": 600}, "Server down", 11, 11.2, id="an interval of 10 s: down after a minute"),
        pytest.param({}, {"interval": 60, "silent_after": 600}, "Server down", 12, 12.4, id="an interval of 60 s: down after three"),
    ],
)  # fmt: skip
def test_each_problem_fires_its_rule_once(changes: dict, how: dict, expected: str, first: float, last: float) -> None:
    ((name, minute),) = fired(HEALTHY | changes, 0.3 if "silent_after" in how else 1.0, **how)
    assert name == expected
    assert first <= minute <= last


def test_a_disk_that_is_nearly_full_fires_both_rules() -> None:
    seen = fired(HEALTHY | a_filesystem("/", 50 * GIB, 0.98), 1.0)
    assert seen == [("Disk space nearly gone", 2.0), ("Disk space low", 10.0)]


def filling(used: float, per_hour: float, mountpoint: str = "/", device: str = "") -> dict[Series, Values]:
    """A filesystem that fills up by a share of its size per hour."""
    return {
        entry: (lambda second: used + per_hour * second / 3600) if entry.metric == "filesystem_usage_ratio" else value
        for entry, value in a_filesystem(mountpoint, 1000 * GIB, used, device=device).items()
    }


FORECAST = {"Disk full within a day": RULES["Disk full within a day"]}


def test_a_disk_that_fills_up_is_foreseen() -> None:
    # 0.7 + 0.02 per hour: after 6 hours, half of the history, 9 hours are left.
    ((_, minute),) = fired(HEALTHY | filling(0.7, 0.02), 8, FORECAST, interval=60)
    assert 360 <= minute <= 420


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(filling(0.7, 0.002), id="150 hours are left"),
        # After 8 hours 10 hours are left, but most that fill up so fast from below stop again: a backup, a build.
        pytest.param(filling(0.15, 0.05), id="a disk that was nearly empty"),
        pytest.param(filling(0.7, 0.02, "/mnt", "nas:/export"), id="an NFS export"),
        pytest.param(filling(0.7, 0.02, "/boot/efi"), id="an EFI partition"),
    ],
)
def test_no_forecast_without_reason(changes: dict) -> None:
    assert fired(HEALTHY | changes, 8, FORECAST, interval=60) == []


def test_a_workload_that_is_gone_is_noticed_by_a_rule_that_is_off() -> None:
    gone = {workload("containers"): from_(600, 2.0, 0.0)}
    assert RULES.keys() - ENABLED.keys() == {"Container gone"}
    ((name, minute),) = fired(HEALTHY | gone, 1.0, RULES)
    assert name == "Container gone"
    assert 15 <= minute <= 21


def test_a_restart_that_takes_long_is_noticed() -> None:
    uptime = readings(system_uptime_seconds=lambda second: 86_400 + second if second < 1800 else second - 2940)
    rules = {"Restarted": RULES["Restarted"]}
    assert fired(HEALTHY | uptime, 1.5, rules, off=range(1800, 3000)) == [("Restarted", 50.0)]


def test_a_filesystem_stays_read_only_until_it_can_be_written() -> None:
    states, rule = [], RULES["Filesystem read-only"]
    filesystem = a_filesystem("/", 100 * GIB, 0.5)
    layout, fleet = Layout.of(tuple(filesystem)), Fleet()
    fleet.set_servers([WatchedServer(1, "web-1", {}, 60_000, NOW)], {1: [layout]})
    fleet.set_rules({1: rule})
    fleet.fill(1, {}, NOW)
    table = Table.of(fleet.watches[1].keys, NOW)
    for minute in range(180):
        read_only = {entry: float(10 <= minute < 150) for entry in filesystem if entry.metric == "filesystem_read_only"}
        now_ms = NOW + minute * 60_000
        fleet.add_frames([(1, Frame(layout.id, now_ms, pack(list((filesystem | read_only).values()))))], now_ms)
        table, transitions = advance(Policy.of(rule), table, measure(fleet, 1, now_ms), now_ms)
        states += [(minute, transition.move) for transition in transitions]
    assert states == [(10, Move.PENDING), (12, Move.FIRED), (150, Move.RESOLVED)]


def test_nan_and_infinity_are_not_stored() -> None:
    assert [finite_or_none(value) for value in (1.5, float("inf"), float("nan"))] == [1.5, None, None]
