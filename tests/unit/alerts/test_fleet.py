"""From frames to the readings of rules."""

import numpy as np
import pytest

from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.rules import Rule
from bongsu.alerts.rules_file import parse_rule
from bongsu.alerts.watched import WatchedServer
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.storage.layouts import intern_layout

NOW = 1_750_000_000_000
CPU = Series("cpu_usage_ratio", (), "ratio")
DISKS = tuple(Series("filesystem_usage_ratio", (("mountpoint", mount),), "ratio") for mount in ("/", "/data"))
SENT = Series("network_transmit_errors_total", (), "", Kind.COUNTER)
LAYOUT = Layout.of((CPU, *DISKS, SENT))


def a_rule(condition: dict, **more: object) -> Rule:
    return parse_rule({"name": "r", "condition": condition, **more})


def a_fleet(*rules: Rule, count: int = 2, layouts: tuple[Layout, ...] = (LAYOUT,)) -> Fleet:
    fleet = Fleet()
    servers = [WatchedServer(server_id, f"web-{server_id}", {}, 10_000, NOW) for server_id in range(1, count + 1)]
    fleet.set_servers(servers, {server.id: list(layouts) for server in servers})
    fleet.set_rules(dict(enumerate(rules)))
    for server_id in list(fleet.unfilled()):
        fleet.fill(server_id, {}, NOW)
    return fleet


def send(fleet: Fleet, server_id: int, second: int, *values: float, layout: Layout = LAYOUT) -> None:
    frame = Frame(layout.id, NOW + second * 1000, pack(values))
    fleet.add_frames([(server_id, frame)], NOW + second * 1000)


def test_a_threshold_over_all_series_of_all_servers() -> None:
    fleet = a_fleet(a_rule({"type": "threshold", "metric": "filesystem_usage_ratio", "value": 0.9, "function": "max"}))
    for second in (0, 10):
        fleet.add_frames(
            [(server_id, Frame(LAYOUT.id, NOW + second * 1000, pack((0.1, 0.5 + server_id / 10, second, 0.0)))) for server_id in (1, 2)],
            NOW,
        )  # fmt: skip
    readings = measure(fleet, 0, NOW + 10_000)
    values = dict(zip(fleet.watches[0].keys, readings.values.tolist(), strict=True))
    assert values == {
        (1, 'filesystem_usage_ratio{mountpoint="/"}'): 0.6,
        (1, 'filesystem_usage_ratio{mountpoint="/data"}'): 10.0,
        (2, 'filesystem_usage_ratio{mountpoint="/"}'): 0.7,
        (2, 'filesystem_usage_ratio{mountpoint="/data"}'): 10.0,
    }
    assert readings.fresh.all()
    assert not measure(fleet, 0, NOW + 46_000).fresh.any(), "three intervals and 5 s later the samples are old"


def test_several_frames_of_one_cycle_are_added_in_order() -> None:
    fleet = a_fleet(
        a_rule({"type": "threshold", "metric": "network_transmit_errors_total", "value": 1, "function": "increase"})
    )
    frames = [
        (1, Frame(LAYOUT.id, NOW + step * 1000, pack((0, 0, 0, errors)))) for step, errors in enumerate([5, 8, 2, 3])
    ]
    fleet.add_frames(frames, NOW + 3000)
    assert measure(fleet, 0, NOW + 3000).values.tolist()[:1] == [3 + 2 + 1]


def test_a_series_that_moves_to_another_layout_keeps_its_samples() -> None:
    other = Layout.of((DISKS[0], CPU))
    fleet = a_fleet(
        a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1}), count=1, layouts=(LAYOUT, other)
    )
    send(fleet, 1, 0, 0.2, 0, 0, 0)
    send(fleet, 1, 10, 0, 0.4, layout=other)
    assert measure(fleet, 0, NOW + 10_000).values == pytest.approx([0.3])
    assert [str(key.series) for key in fleet.watches[0].keys] == ["cpu_usage_ratio"]


def test_change_compares_with_an_earlier_window() -> None:
    condition = {"type": "change", "metric": "cpu_usage_ratio", "value": 1, "window": "20s", "over": "1m"}
    fleet = a_fleet(a_rule(condition), a_rule(condition | {"relative": True}), count=1)
    for step in range(8):
        send(fleet, 1, step * 10, 0.1 * (step + 1), 0, 0, 0)
    # At 70 s: (0.7 + 0.8) / 2 against the window that ended at 10 s: (0.1 + 0.2) / 2.
    assert measure(fleet, 0, NOW + 70_000).values == pytest.approx([0.6])
    assert measure(fleet, 1, NOW + 70_000).values == pytest.approx([4.0])


def test_a_server_is_down_after_ten_intervals_and_the_grace_time() -> None:
    fleet = a_fleet(a_rule({"type": "server_down", "grace": "30s"}))
    send(fleet, 1, 100, 0, 0, 0, 0)
    readings = measure(fleet, 0, NOW + 131_000)
    assert readings.values.tolist() == [31.0, 131.0]
    assert (readings.values > readings.thresholds).tolist() == [False, True]
    assert readings.recoveries.tolist() == [30.0, 30.0]


def test_a_late_frame_shows_that_the_server_is_alive_but_adds_no_sample() -> None:
    fleet = a_fleet(
        a_rule({"type": "server_down"}), a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1}), count=1
    )
    fleet.add_frames([(1, Frame(LAYOUT.id, NOW - 3_600_000, pack((0.9, 0, 0, 0))))], NOW + 500_000)
    assert measure(fleet, 0, NOW + 500_000).values.tolist() == [0.0]
    assert not measure(fleet, 1, NOW + 500_000).fresh.any()


def test_no_data_while_the_server_is_up() -> None:
    fleet = a_fleet(a_rule({"type": "no_data", "metric": "filesystem_usage_ratio", "after": "1m"}), count=1)
    send(fleet, 1, 0, 0.1, 0.2, 0.3, 0)
    send(fleet, 1, 70, 0.1, 0.2, float("nan"), 0)
    readings = measure(fleet, 0, NOW + 70_000)
    assert readings.values.tolist() == [0.0, 70.0]
    assert readings.thresholds.tolist() == [60.0, 60.0]
    assert not measure(fleet, 0, NOW + 500_000).known.any(), "a silent server is for server_down"


def test_clock_skew_is_the_time_of_frames_minus_their_arrival() -> None:
    fleet = a_fleet(
        a_rule({"type": "threshold", "metric": "server_clock_skew_seconds", "value": 30, "function": "last"}), count=1
    )
    for step in range(3):
        frame = Frame(LAYOUT.id, NOW + step * 10_000 + 45_000, pack((0, 0, 0, 0)))
        fleet.add_frames([(1, frame)], NOW + step * 10_000)
    assert measure(fleet, 0, NOW + 20_000).values.tolist() == [45.0]


def test_windows_are_not_evaluated_before_they_are_filled() -> None:
    fleet = Fleet()
    fleet.set_servers([WatchedServer(1, "a", {}, 10_000, NOW)], {1: [LAYOUT]})
    fleet.set_rules({0: a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1})})
    assert fleet.unfilled() == {1: {CPU}}
    assert not measure(fleet, 0, NOW).known.any()
    fleet.fill(1, {(CPU, 0): (np.array([NOW - 20_000, NOW - 10_000]), np.array([0.2, 0.6]))}, NOW)
    assert fleet.unfilled() == {}
    assert measure(fleet, 0, NOW).values == pytest.approx([0.4])
    assert fleet.spans_ms(1) == {0: 64 * 10_000}


def test_rings_that_no_rule_uses_are_forgotten() -> None:
    rules = [
        a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1, "window": window})
        for window in ("5m", "1h")
    ]
    fleet = a_fleet(*rules)
    assert fleet.spans_ms(1) == {0: 512 * 10_000}
    fleet.set_rules({0: rules[0]})
    assert fleet.spans_ms(1) == {0: 64 * 10_000}
    send(fleet, 1, 0, 0.5, 0, 0, 0)
    assert measure(fleet, 0, NOW).values.tolist()[0] == 0.5
    fleet.set_servers([fleet.servers[1]], {1: [LAYOUT]})
    assert [key.server_id for key in fleet.watches[0].keys] == [1]


def test_servers_with_one_layout_id_may_have_different_series() -> None:
    fleet = a_fleet(a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1, "function": "last"}), count=3)
    series = {1: (CPU,), 2: (DISKS[0], CPU), 3: (CPU, *DISKS)}
    fleet.set_servers(
        [WatchedServer(server_id, "a", {}, 10_000, NOW) for server_id in series],
        {server_id: [intern_layout(Layout(5, names))] for server_id, names in series.items()},
    )
    values = {1: (0.1,), 2: (0.9, 0.2), 3: (0.3, 0.9, 0.9)}
    fleet.add_frames([(server_id, Frame(5, NOW, pack(row))) for server_id, row in values.items()], NOW)
    readings = dict(zip(fleet.watches[0].keys, measure(fleet, 0, NOW).values.tolist(), strict=True))
    assert {key.server_id: value for key, value in readings.items()} == {1: 0.1, 2: 0.2, 3: 0.3}


def test_a_new_layout_costs_only_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Series] = []
    selects = Rule.selects
    monkeypatch.setattr(Rule, "selects", lambda rule, series: asked.append(series) or selects(rule, series))
    rules = [a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1})] * 2
    fleet = a_fleet(*rules, count=50)
    watches, asked[:] = list(fleet.watches.values()), []
    servers = [WatchedServer(server_id, f"web-{server_id}", {}, 10_000, NOW) for server_id in range(1, 51)]
    more = Layout.of((DISKS[1],))
    fleet.set_servers(servers, {server.id: [LAYOUT, more] if server.id == 7 else [LAYOUT] for server in servers})
    assert asked == [CPU, CPU], "the layouts of server 7 are searched once for each rule"
    assert all(now is before for now, before in zip(fleet.watches.values(), watches, strict=True)), "nothing to rebuild"


def test_tracks_of_series_that_are_gone_are_used_again() -> None:
    fleet = a_fleet(a_rule({"type": "threshold", "metric": "filesystem_usage_ratio", "value": 1}), count=1)
    for index in range(50):
        mount = Series("filesystem_usage_ratio", (("mountpoint", f"/run/{index}"),), "ratio")
        fleet.set_servers([fleet.servers[1]], {1: [Layout.of((mount,))]})
        fleet.fill(1, {}, NOW)
        send(fleet, 1, index, 0.1 * (index % 10), layout=Layout.of((mount,)))
        assert measure(fleet, 0, NOW + index * 1000).values.tolist() == [0.1 * (index % 10)]
    (segment,) = fleet.watches[0].segments
    assert segment.ring.count <= 3


def test_the_samples_of_a_slow_series_are_fresh_for_three_of_its_own_intervals() -> None:
    fleet = a_fleet(a_rule({"type": "threshold", "metric": "cpu_usage_ratio", "value": 1, "function": "last"}), count=1)
    slow = Layout.of((CPU,))
    fleet.set_servers([fleet.servers[1]], {1: [LAYOUT, slow]})
    for second in (0, 60, 120):
        send(fleet, 1, second, 0.5, layout=slow)
        send(fleet, 1, second + 50, float("nan"), 0, 0, 0)
    assert measure(fleet, 0, NOW + 120_000 + 180_000).fresh.tolist() == [True]
    assert measure(fleet, 0, NOW + 120_000 + 190_000).fresh.tolist() == [False]


def test_a_server_that_has_not_been_heard_yet_is_neither_up_nor_down() -> None:
    fleet = a_fleet(a_rule({"type": "server_down", "grace": "30s"}), count=1)
    assert measure(fleet, 0, NOW + 90_000).known.tolist() == [False]
    assert measure(fleet, 0, NOW + 91_000).known.tolist() == [True], "silent for long enough"
    fleet.add_frames([(1, Frame(LAYOUT.id, NOW, pack((0, 0, 0, 0))))], NOW + 10_000, arrived=False)
    assert measure(fleet, 0, NOW + 20_000).known.tolist() == [False], "a stored frame proves nothing"
    send(fleet, 1, 20, 0, 0, 0, 0)
    assert measure(fleet, 0, NOW + 20_000).known.tolist() == [True]


def test_a_pause_of_the_worker_is_no_silence() -> None:
    fleet = a_fleet(
        a_rule({"type": "server_down"}),
        a_rule({"type": "no_data", "metric": "cpu_usage_ratio", "after": "1m"}),
        count=1,
    )
    send(fleet, 1, 0, 0.5, 0, 0, 0)
    fleet.paused(3_590_000)
    assert measure(fleet, 0, NOW + 3_600_000).values.tolist() == [10.0]
    assert measure(fleet, 1, NOW + 3_600_000).values.tolist() == [10.0]


FULL = {
    "type": "forecast",
    "metric": "filesystem_usage_ratio",
    "labels": {"mountpoint": "/"},
    "history": "72m",
    "value": 1.0,
    "within": "2h",
}


def grow(fleet: Fleet, minutes: int, start: float, per_minute: float, *, burst: float = 0.0) -> None:
    for minute in range(minutes):
        usage = start + per_minute * minute + (burst if minute in (50, 51, 52, 53) else 0.0)
        send(fleet, 1, minute * 60, 0, usage, 0, 0)


@pytest.mark.parametrize("fit", ["robust", "linear"])
def test_a_forecast_of_a_full_disk(fit: str) -> None:
    fleet = a_fleet(a_rule(FULL | {"fit": fit}), count=1)
    grow(fleet, 71, 0.2, 0.005)
    # 0.2 + 70 x 0.005 = 0.55 at the last sample; 0.45 / 0.005 = 90 minutes left.
    readings = measure(fleet, 0, NOW + 70 * 60_000)
    assert readings.values == pytest.approx([90 * 60], rel=1e-3)
    assert (readings.thresholds.tolist(), readings.recoveries.tolist()) == ([7200.0], [10800.0])


def test_a_burst_does_not_change_the_robust_line() -> None:
    fleet = a_fleet(a_rule(FULL), a_rule(FULL | {"fit": "linear"}), count=1)
    grow(fleet, 71, 0.2, 0.001, burst=0.5)
    expected = (1.0 - 0.27) / 0.001 * 60
    assert measure(fleet, 0, NOW + 70 * 60_000).values == pytest.approx([expected], rel=0.02)
    assert abs(measure(fleet, 1, NOW + 70 * 60_000).values[0] - expected) > 0.1 * expected


@pytest.mark.parametrize(
    ("minutes", "start", "per_minute", "expected"),
    [
        pytest.param(71, 0.5, -0.001, np.inf, id="shrinking"),
        pytest.param(71, 0.5, 0.0, np.inf, id="constant"),
        pytest.param(71, 1.2, 0.001, 0.0, id="reached already"),
        pytest.param(7, 0.5, 0.01, np.nan, id="too few points"),
        pytest.param(20, 0.5, 0.01, np.nan, id="less than half of the history"),
    ],
)
def test_forecasts_without_an_end_or_a_trend(minutes: int, start: float, per_minute: float, expected: float) -> None:
    fleet = a_fleet(a_rule(FULL), count=1)
    grow(fleet, minutes, start, per_minute)
    np.testing.assert_equal(measure(fleet, 0, NOW + 70 * 60_000).values, [expected])


def test_a_forecast_only_from_a_level() -> None:
    fleet = a_fleet(a_rule(FULL | {"only_from": 0.6}), a_rule(FULL | {"only_from": 0.5}), count=1)
    grow(fleet, 71, 0.2, 0.005)
    assert measure(fleet, 0, NOW + 70 * 60_000).values.tolist() == [np.inf]
    assert measure(fleet, 1, NOW + 70 * 60_000).values == pytest.approx([5400], rel=1e-3)
