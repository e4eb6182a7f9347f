"""Thresholds on the quotient of two metrics, and thresholds that must hold together."""

import pytest

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.checks import check_rule
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.message import Explanation, build
from bongsu.alerts.rules import Severity
from bongsu.alerts.rules_file import dump_rules, parse_rule, parse_rules
from bongsu.alerts.state import Move, Table
from bongsu.alerts.watched import WatchedServer
from bongsu.core.errors import InvalidInput
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series

NOW = 1_750_000_000_000
STEP = 10_000
ROOT, DATA = (("mountpoint", "/"),), (("mountpoint", "/data"),)
LOAD, CORES = Series("load_15m"), Series("cpu_cores")
USED = Series("filesystem_usage_ratio", ROOT, "ratio")
LEFT = Series("filesystem_available_bytes", ROOT, "bytes")
SPACE = {
    "type": "threshold", "metric": "filesystem_usage_ratio", "function": "last", "value": 0.9, "recovery": 0.85,
    "and": [{"metric": "filesystem_available_bytes", "function": "last", "operator": "<", "value": 10e9, "recovery": 12e9}],
}  # fmt: skip
PER_CORE = {"type": "threshold", "metric": "load_15m", "per": "cpu_cores", "function": "last", "value": 2}


def a_rule(condition: dict, **changes):
    return parse_rule({"name": "r", "condition": condition, **changes})


def moves(condition: dict, series: tuple[Series, ...], rows: list[tuple[float, ...]]) -> list[tuple[int, str, Move]]:
    """(row, series, move) of each transition when a server sends these rows."""
    layout, fleet = Layout.of(series), Fleet()
    fleet.set_servers([WatchedServer(1, "web-1", {}, STEP, NOW)], {1: [layout]})
    fleet.set_rules({1: a_rule(condition)})
    fleet.fill(1, {}, NOW)
    policy, table, seen = Policy.of(a_rule(condition)), Table.of(fleet.watches[1].keys, NOW), []
    for number, row in enumerate(rows):
        now_ms = NOW + number * STEP
        fleet.add_frames([(1, Frame(layout.id, now_ms, pack(list(row))))], now_ms)
        table, transitions = advance(policy, table, measure(fleet, 1, now_ms), now_ms)
        seen += [(number, transition.key.series, transition.move) for transition in transitions]
    return seen


@pytest.mark.parametrize(
    ("cores", "fires"),
    [pytest.param(4, True, id="10 per core"), pytest.param(64, False, id="40 on 64 cores"), pytest.param(0, False, id="zero cores: no value")],
)  # fmt: skip
def test_a_load_is_judged_per_core(cores: float, fires: bool) -> None:
    assert bool(moves(PER_CORE, (LOAD, CORES), [(40, cores)])) is fires


def test_a_divisor_with_the_same_labels_comes_before_one_without() -> None:
    used = [Series("disk_used_bytes", labels, "bytes") for labels in (ROOT, DATA)]
    total = [Series("disk_total_bytes", labels, "bytes") for labels in (ROOT, DATA, ())]
    condition = {
        "type": "threshold",
        "metric": "disk_used_bytes",
        "per": "disk_total_bytes",
        "function": "last",
        "value": 0.8,
    }
    assert moves(condition, (*used, *total), [(90, 90, 100, 1000, 1)]) == [(0, str(used[0]), Move.FIRED)]


def test_the_rates_of_two_counters_are_divided() -> None:
    errors, packets = Series("errors_total", kind=Kind.COUNTER), Series("packets_total", kind=Kind.COUNTER)
    condition = {
        "type": "threshold",
        "metric": "errors_total",
        "per": "packets_total",
        "function": "rate",
        "window": "1m",
        "value": 0.01,
    }
    assert moves(condition, (errors, packets), [(0, 0), (2, 1000), (4, 2000)]) == []
    assert moves(condition, (errors, packets), [(0, 0), (20, 1000)]) == [(1, "errors_total", Move.FIRED)]


def test_a_rate_is_divided_by_a_gauge_as_it_is() -> None:
    seconds, cores = Series("cpu_time_seconds_total", (("mode", "user"),), "seconds", Kind.COUNTER), CORES
    condition = {
        "type": "threshold",
        "metric": "cpu_time_seconds_total",
        "per": "cpu_cores",
        "function": "rate",
        "window": "1m",
        "value": 0.9,
    }
    assert moves(condition, (seconds, cores), [(0, 4), (38, 4)]) == [(1, str(seconds), Move.FIRED)]
    assert moves(condition, (seconds, cores), [(0, 4), (30, 4)]) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(0.95, 5e9)], [(0, Move.FIRED)], id="both hold"),
        pytest.param([(0.95, 500e9)], [], id="percent only"),
        pytest.param([(0.5, 5e9)], [], id="bytes only"),
        pytest.param([(0.95, float("nan"))], [], id="no value of the second"),
        pytest.param([(0.95, 5e9), (0.87, 11e9)], [(0, Move.FIRED)], id="neither is past its recovery"),
        pytest.param([(0.95, 5e9), (0.95, 13e9)], [(0, Move.FIRED), (1, Move.RESOLVED)], id="the second has recovered"),
        pytest.param([(0.95, 5e9), (0.80, 5e9)], [(0, Move.FIRED), (1, Move.RESOLVED)], id="the first has recovered"),
        pytest.param([(0.95, 5e9), (0.95, 11e9)], [(0, Move.FIRED)], id="the second is between its thresholds"),
        pytest.param([(0.95, 5e9), *[(0.95, float("nan"))] * 40], [(0, Move.FIRED)], id="7 minutes without a value of the second: it does not end"),
    ],
)  # fmt: skip
def test_conditions_hold_together(rows: list, expected: list) -> None:
    assert [(row, move) for row, _, move in moves(SPACE, (USED, LEFT), rows)] == expected


def test_a_series_without_its_operands_is_not_watched() -> None:
    assert moves(SPACE | {"operator": "<", "recovery": None}, (USED,), [(0.1,)]) == []


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        pytest.param({"per": "a b"}, "rule.condition.threshold.per", "pattern", id="an invalid metric"),
        pytest.param({"and": [{"metric": "m"}]}, "rule.condition.threshold.and.0.value", "required", id="and without a value"),
        pytest.param({"and": [{"metric": "m", "value": 1, "window": "7h"}]}, "rule.condition.threshold.and.0", "1s to 6h", id="a window too long"),
        pytest.param({"and": [{"metric": "m", "value": 1, "recovery": 2}]}, "rule.condition.threshold.and.0", "above value", id="a recovery above"),
        pytest.param({"and": [{"metric": "m", "value": 1, "labels": {}}]}, "rule.condition.threshold.and.0.labels", "Extra", id="labels of its own"),
        pytest.param({"and": {"metric": "m", "value": 1}}, "rule.condition.threshold.and", "list", id="no list"),
    ],
)  # fmt: skip
def test_errors_name_the_field(change: dict, field: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as error:
        a_rule(PER_CORE | change)
    assert error.value.field == field


def test_an_export_keeps_both() -> None:
    rules = [a_rule(SPACE | {"per": "cpu_cores"})]
    assert parse_rules(dump_rules(rules)) == rules


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        pytest.param(PER_CORE | {"per": "cpu_coers"}, "condition.per", id="per"),
        pytest.param(PER_CORE | {"and": [{"metric": "laod_1m", "value": 1}]}, "condition.and.0.metric", id="and"),
        pytest.param(PER_CORE | {"and": [{"metric": "load_15m", "per": "x", "value": 1}]}, "condition.and.0.per", id="per in and"),
    ],
)  # fmt: skip
def test_a_metric_that_nobody_sends_is_refused(condition: dict, field: str) -> None:
    server, layouts = WatchedServer(1, "web-1", {}, STEP, NOW), {1: [Layout.of((LOAD, CORES))]}
    with pytest.raises(InvalidInput, match="ever sent") as error:
        check_rule(a_rule(condition), [server], layouts, set())
    assert error.value.field == field


def test_mistakes_in_a_further_condition_are_warned_of() -> None:
    server = WatchedServer(1, "web-1", {}, STEP, NOW)
    counter = Series("oom_total", kind=Kind.COUNTER)
    rule = a_rule(PER_CORE | {"and": [{"metric": "oom_total", "value": 1, "window": "5s"}]})
    warnings = check_rule(rule, [server], {1: [Layout.of((LOAD, CORES, counter))]}, set())
    assert [warning.text for warning in warnings] == [
        "oom_total is a counter, which only rises; use rate or increase.",
        "The window is shorter than the interval of a server in the scope, so it will often be empty.",
    ]


@pytest.mark.parametrize(
    ("condition", "series", "unit", "value", "expected"),
    [
        pytest.param(
            {"type": "threshold", "metric": "memory_left_bytes", "per": "memory_usable_bytes", "operator": "<", "value": 0.05}, "memory_left_bytes",
            "bytes", 0.034, [("Metric", "memory_left_bytes / memory_usable_bytes"), ("Value", "3.4 %"), ("Threshold", "5 %")], id="a share",
        ),
        pytest.param(
            {"type": "threshold", "metric": "filesystem_read_only", "function": "last", "operator": ">=", "value": 1, "and": [{"metric": "filesystem_read_only", "function": "min", "window": "15m", "operator": "<", "value": 1}]},
            "filesystem_read_only", "", 1, [("Metric", "filesystem_read_only"), ("Value", "1"), ("Threshold", "1"), ("And", "filesystem_read_only (min 15m) < 1")], id="two functions of one series",
        ),
        pytest.param(PER_CORE, "load_15m", "", 2.5, [("Metric", "load_15m / cpu_cores"), ("Value", "2.5"), ("Threshold", "2")], id="load per core"),
        pytest.param(SPACE, str(USED), "ratio", 0.95, [("Metric", str(USED)), ("Value", "95.0 %"), ("Threshold", "90.0 %"), ("And", "filesystem_available_bytes < 9.31 GiB")], id="together"),
    ],
)  # fmt: skip
def test_a_message_tells_what_was_compared(
    condition: dict, series: str, unit: str, value: float, expected: list
) -> None:
    rule = a_rule(condition)
    alert = Alert(
        1,
        1,
        "r",
        Severity.WARNING,
        3,
        1,
        "web-1",
        series,
        "firing",
        "breach",
        NOW,
        value=value,
        threshold=rule.condition.value,
    )
    message = build(
        [alert], rule, Explanation(unit), notification_id=1, event=Event.FIRED, language="en", zone="UTC", now_ms=NOW, public_url="",
    )  # fmt: skip
    assert message.facts[1 : 1 + len(expected)] == expected
