"""The states of an alert, second by second."""

import math

import numpy as np
import pytest

from bongsu.alerts.engine import FLAP_CALM_MS, FLAP_COUNT, Policy, advance
from bongsu.alerts.rules_file import parse_rule
from bongsu.alerts.state import Readings, SeriesKey, State, StoredState, Table

NOW = 1_750_000_000_000
KEY = SeriesKey(1, "cpu_usage_ratio")
OLD = "old"  # a sample with an old time, from a backlog
DARK = "dark"  # the server is silent, or the window is still being filled
NONE = math.nan
LASTS = np.array([35_000])


def a_policy(**changes: object) -> Policy:
    document = {"name": "r", "condition": {"type": "threshold", "metric": "m", "value": 90, "recovery": 80}} | changes
    return Policy.of(parse_rule(document))


def reading(value: object) -> Readings:
    sample = 99.0 if value in (OLD, DARK) else value
    return Readings(
        np.array([sample], float),
        np.array([value != OLD]),
        np.array([value != DARK]),
        np.array([90.0]),
        np.array([80.0]),
        LASTS,
    )


def run(policy: Policy, steps: list[tuple[int, object]], table: Table | None = None) -> list[str]:
    """The transitions, each as ``12 fired``: the second and the move."""
    table = table or Table.of([KEY], NOW)
    lines = []
    for second, value in steps:
        table, transitions = advance(policy, table, reading(value), NOW + second * 1000)
        lines += [
            f"{second} {transition.move}"
            + ("" if transition.reason in ("breach", "recovered") else f" {transition.reason}")
            for transition in transitions
        ]
    return lines


def every(step: int, *values: object) -> list[tuple[int, object]]:
    return [(step * index, value) for index, value in enumerate(values)]


LONG = {"for": "30s"}
TABLE = [
    pytest.param({}, every(10, 50, 95, 96, 50), ["10 fired", "30 resolved"], id="without `for` it fires at once"),
    pytest.param({}, every(10, 90, 90.1), ["10 fired"], id="a value at the threshold is no breach"),
    pytest.param(LONG, every(10, 95, 95, 95, 95, 95), ["0 pending", "30 fired"], id="pending for 30 s, firing at 30 s, not at 20 s"),
    pytest.param(LONG, every(10, 95, 95, 50, 95, 95, 95, 95), ["0 pending", "20 withdrawn", "30 pending", "60 fired"], id="one evaluation without a breach starts `for` again"),
    pytest.param(LONG, every(10, 95, 95, 85, 95), ["0 pending", "20 withdrawn", "30 pending"], id="pending ends without a breach, even above the recovery threshold"),
    pytest.param({}, every(10, 95, 85, 81, 80.5, 80), ["0 fired", "40 resolved"], id="between the thresholds it keeps firing (hysteresis); 80 is a recovery"),
    pytest.param({"recover_for": "20s"}, every(10, 95, 70, 70, 70), ["0 fired", "30 resolved"], id="recovered for 20 s: from 10 s to 30 s"),
    pytest.param({"recover_for": "20s"}, every(10, 95, 70, 85, 70, 70, 70), ["0 fired", "50 resolved"], id="a value between the thresholds starts `recover_for` again: from 30 s to 50 s"),
    pytest.param({}, every(10, 95, NONE, NONE, 95, 70), ["0 fired", "40 resolved"], id="a gap changes nothing"),
    pytest.param(LONG, every(10, 95, NONE, NONE, 95), ["0 pending", "30 fired"], id="a gap does not end pending, but it fires only with a sample"),
    pytest.param(LONG, every(10, 95, NONE, NONE, NONE, NONE), ["0 pending"], id="nothing fires without a sample"),
    pytest.param({}, [(0, 95), (10, NONE), (599, NONE), (600, NONE)], ["0 fired", "600 resolved data_stopped"], id="resolve: it resolves after 10 m without data"),
    pytest.param({"no_data": {"policy": "keep"}}, [(0, 95), (600, NONE), (6000, NONE), (6010, 70)], ["0 fired", "6010 resolved"], id="keep: it fires until there is data"),
    pytest.param({"no_data": {"policy": "alert", "after": "1m"}}, [(0, 50), (10, NONE), (59, NONE), (60, NONE), (70, 50)], ["60 fired no_data", "70 resolved"], id="alert: it fires after the grace time, and data resolves it"),
    pytest.param({"no_data": {"policy": "alert", "after": "1m"}}, [(0, 50), (60, NONE), (70, 95), (80, 50)], ["60 fired no_data", "80 resolved"], id="alert: data that breaches keeps the same alert firing"),
    pytest.param({"no_data": {"policy": "alert", "after": "1m"}}, [(0, 95), (60, NONE), (120, NONE)], ["0 fired"], id="alert: a firing alert does not fire again for missing data"),
    pytest.param(LONG, [(0, 95), (10, NONE), (600, NONE)], ["0 pending", "600 withdrawn data_stopped"], id="pending ends when the data stops"),
    pytest.param({"for": "15m"}, [(0, 95), (1800, 95), (1810, 95)], ["0 pending", "1800 pending"], id="two samples half an hour apart are no evidence for 15 m"),
    pytest.param({"for": "1m"}, [(0, 95), (30, 95), (60, 95)], ["0 pending", "60 fired"], id="a gap within three intervals is no interruption"),
    pytest.param({"for": "1m"}, [(0, 95), (10, DARK), (50, DARK), (60, 95), (90, 95), (120, 95)], ["0 pending", "60 pending", "120 fired"], id="nor does a server prove anything while it is silent"),
    pytest.param({}, every(10, OLD, OLD, OLD), [], id="a replayed backlog fires nothing"),
    pytest.param(LONG, every(10, 95, OLD, OLD, OLD, OLD), ["0 pending"], id="a replayed backlog does not make pending fire"),
    pytest.param({}, [(0, 95), (10, DARK), (5000, DARK), (5010, 70)], ["0 fired", "5010 resolved"], id="the alerts of a silent server keep their state"),
    pytest.param({}, [(0, DARK), (5000, DARK), (5010, NONE), (5600, NONE)], [], id="the grace time begins when the server is back"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "steps", "expected"), TABLE)
def test_transitions(changes: dict, steps: list, expected: list[str]) -> None:
    assert run(a_policy(**changes), steps) == expected


def test_an_alert_below_a_threshold() -> None:
    rule = {"condition": {"type": "threshold", "metric": "m", "operator": "<", "value": 10, "recovery": 20}}
    policy = a_policy(**rule)
    table = Table.of([KEY], NOW)
    lines = []
    for second, value in every(10, 10, 9.9, 15, 20):
        readings = Readings(
            np.array([value], float), np.array([True]), np.array([True]), np.array([10.0]), np.array([20.0]), LASTS
        )
        table, transitions = advance(policy, table, readings, NOW + second * 1000)
        lines += [f"{second} {transition.move}" for transition in transitions]
    assert lines == ["10 fired", "30 resolved"]


def test_a_flapping_alert_resolves_only_after_a_time_without_breaches() -> None:
    policy = a_policy()
    waves = every(60, *[95, 50] * FLAP_COUNT)
    lines = run(policy, waves)
    # Fires at 0, 120, 240 and 360 s. The fourth time it is flapping, so 50 at 420 s does not resolve it.
    assert lines == ["0 fired", "60 resolved", "120 fired", "180 resolved", "240 fired", "300 resolved", "360 fired"]
    calm_end = 420 + FLAP_CALM_MS // 1000
    assert run(policy, [*waves, (calm_end - 1, 50), (calm_end, 50)])[-1] == f"{calm_end} resolved"
    assert run(policy, [*waves, (600, 95), (660, 50), (calm_end, 50)]) == lines, "a breach starts the time again"


def test_four_firings_in_more_than_an_hour_are_not_flapping() -> None:
    steps = [(1300 * index + offset, value) for index in range(5) for offset, value in ((0, 95), (60, 50))]
    assert [line for line in run(a_policy(), steps) if "resolved" in line] == [
        f"{1300 * index + 60} resolved" for index in range(5)
    ]


@pytest.mark.parametrize(
    ("stored", "steps", "expected"),
    [
        pytest.param(StoredState(State.FIRING, NOW - 50_000, NOW - 20_000), [(5, 95), (10, 50)], ["10 resolved"], id="firing does not fire again"),
        pytest.param(StoredState(State.PENDING, NOW - 25_000), [(4, 95), (5, 95)], ["5 fired"], id="pending keeps its start"),
        pytest.param(StoredState(State.PENDING, NOW - 25_000, breached_ms=NOW - 10_000), [(5, 95)], ["5 fired"], id="pending that was evaluated 15 s ago"),
        pytest.param(StoredState(State.PENDING, NOW - 1_800_000, breached_ms=NOW - 1_790_000), [(0, 95), (29, 95)], ["0 pending"], id="nobody evaluated pending for half an hour"),
        pytest.param(StoredState(State.PENDING, NOW - 25_000), [(4, 50)], ["4 withdrawn"], id="pending that has ended meanwhile"),
        pytest.param(StoredState(State.FIRING, NOW, NOW, flapping=True), [(5, 50), (100, 50), (5 + 900, 50)], ["905 resolved"], id="flapping stays flapping"),
        pytest.param(StoredState(State.FIRING, NOW, NOW), [(0, DARK), (10, DARK), (20, NONE), (30, 95)], [], id="empty windows resolve nothing"),
    ],
)  # fmt: skip
def test_a_restart_neither_loses_nor_repeats(stored: StoredState, steps: list, expected: list[str]) -> None:
    table = Table.of([KEY], NOW)
    table.restore({KEY: stored})
    assert run(a_policy(**LONG), steps, table) == expected


def test_states_stay_with_their_keys_when_series_come_and_go() -> None:
    table, _ = advance(a_policy(), Table.of([KEY], NOW), reading(95.0), NOW)
    other = SeriesKey(2, "m")
    rearranged = table.rearranged([other, KEY], NOW)
    assert rearranged.state.tolist() == [State.OK, State.FIRING]
    assert rearranged.rearranged([other], NOW).state.tolist() == [State.OK]


def test_advance_does_not_change_its_input() -> None:
    table = Table.of([KEY], NOW)
    first = advance(a_policy(), table, reading(95.0), NOW)
    again = advance(a_policy(), table, reading(95.0), NOW)
    assert first[1] == again[1]
    assert table.state.tolist() == [State.OK]
