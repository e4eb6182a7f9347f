"""Values in an incident are as possible and as consistent as others."""

from functools import cache

import numpy as np
import pytest

from bongsu.arrays import Values
from bongsu.core.series import Kind as SeriesKind
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.simulator.server import SimulatedServer
from bongsu.simulator.trouble import Kind, Trouble

INTERVAL_MS = 10_000
NOON_MS = 1_800_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
# From the 60th to the 180th of 360 ticks, and not on a tick.
START_MS, END_MS = NOON_MS + 10 * MINUTE_MS + 1, NOON_MS + 30 * MINUTE_MS + 1
DURING, HALF, AFTER = slice(61, 181), slice(121, 181), slice(181, 360)
VALUE_KINDS = (Kind.CPU_STORM, Kind.DISK_FULL, Kind.MEMORY_LEAK, Kind.PARTITION)

# The first ten servers have every role.
each_role = pytest.mark.parametrize("index", range(10))


@cache
def server(index: int, *kinds: Kind) -> SimulatedServer:
    troubles = tuple(Trouble(kind, START_MS, END_MS) for kind in kinds)
    return SimulatedServer(index, seed=1, interval_ms=INTERVAL_MS, troubles=troubles)


@cache
def hour(index: int, *kinds: Kind) -> Values:
    return server(index, *kinds).values(NOON_MS, 360)


def of(values: Values, index: int, metric: str, **labels: str) -> Values:
    """(360, series) the values of a metric."""
    wanted = set(labels.items())
    series = server(index).layout.series
    places = [place for place, one in enumerate(series) if one.metric == metric and wanted <= set(one.labels)]
    assert places, metric
    return values[:, places]


@each_role
def test_all_at_once_is_possible(index: int) -> None:
    values = hour(index, *VALUE_KINDS)
    for place, series in enumerate(server(index).layout.series):
        known = values[:, place][~np.isnan(values[:, place])]
        assert (known >= 0).all(), series
        if series.unit == "ratio":
            assert (known <= 1).all(), series
        if series.kind is SeriesKind.COUNTER:
            assert (np.diff(known) >= 0).all(), series
    total = of(values, index, "memory_total_bytes")
    parts = sum(of(values, index, f"memory_{part}_bytes") for part in ("used", "free", "buffers", "cached"))
    assert np.allclose(parts, total, rtol=1e-5)
    cores = server(index).machine.cores
    usage = of(values, index, "cpu_usage_ratio")[:, 0]
    assert np.allclose(of(values, index, "cpu_core_usage_ratio").mean(axis=1), usage)
    seconds = of(values, index, "cpu_time_seconds_total").sum(axis=1)
    assert np.allclose(np.diff(seconds), cores * INTERVAL_MS / 1000)
    idle = of(values, index, "cpu_time_seconds_total", mode="idle")
    idle = idle + of(values, index, "cpu_time_seconds_total", mode="iowait")
    assert np.allclose(1 - np.diff(idle[:, 0]) / cores / (INTERVAL_MS / 1000), usage[1:], atol=1e-6)


@each_role
def test_before_and_after_nothing_differs_but_counters(index: int) -> None:
    calm, troubled = hour(index), hour(index, *VALUE_KINDS)
    assert np.array_equal(calm[:61], troubled[:61], equal_nan=True)
    for place, series in enumerate(server(index).layout.series):
        # Loads are averages, which remember.
        if series.kind is SeriesKind.GAUGE and not series.metric.startswith("load_"):
            assert np.allclose(calm[182:, place], troubled[182:, place], equal_nan=True), series
        if series.kind is SeriesKind.COUNTER:
            grown = np.diff(troubled[181:, place]) - np.diff(calm[181:, place])
            assert np.allclose(grown, 0, atol=1e-3), series


@each_role
def test_a_cpu_storm_raises_usage_and_load_and_names_a_process(index: int) -> None:
    calm, storm = hour(index), hour(index, Kind.CPU_STORM)
    machine = server(index).machine
    assert of(storm, index, "cpu_usage_ratio")[DURING][1:].min() > 0.9
    assert of(calm, index, "cpu_usage_ratio").max() <= machine.busiest
    load = of(storm, index, "load_1m")[:, 0]
    assert load[HALF].min() > 1.4 * machine.cores
    assert (np.diff(load[DURING] - of(calm, index, "load_1m")[DURING, 0]) > -1e-9).all()
    assert load[-1] - of(calm, index, "load_1m")[-1, 0] < 0.01
    assert of(storm, index, "processes_running")[HALF].min() > machine.cores
    lists = server(index, Kind.CPU_STORM).process_lists(NOON_MS, 360)
    assert len(lists) == 60
    for one in lists:
        named = [process for process in one.processes if process.name == "ffmpeg"]
        assert len(named) == (START_MS < one.time_ms < END_MS + MINUTE_MS), one.time_ms
        assert sum(process.cpu_ratio for process in one.processes) < machine.cores
        if START_MS + MINUTE_MS < one.time_ms < END_MS:
            tick = (one.time_ms - NOON_MS) // INTERVAL_MS
            calm_usage = of(calm, index, "cpu_usage_ratio")[tick - 5 : tick + 1].mean()
            usage = of(storm, index, "cpu_usage_ratio")[tick - 5 : tick + 1].mean()
            taken = (usage - calm_usage) * machine.cores
            assert taken / 2 < named[0].cpu_ratio < taken + 0.001


@each_role
def test_a_disk_fills_in_a_line_until_it_is_full(index: int) -> None:
    calm, full = hour(index), hour(index, Kind.DISK_FULL)
    total, used, available, ratio = (
        of(full, index, f"filesystem_{name}", mountpoint="/")[:, 0]
        for name in ("total_bytes", "used_bytes", "available_bytes", "usage_ratio")
    )
    reserved = total - of(calm, index, "filesystem_used_bytes", mountpoint="/")[:, 0]
    reserved = reserved - of(calm, index, "filesystem_available_bytes", mountpoint="/")[:, 0]
    assert np.allclose(used + available + reserved, total)
    assert ratio[HALF].min() > 0.999_99
    assert available[HALF].max() < 4_096
    steps = np.diff(used[61:120])
    assert steps.min() > 0
    assert steps.max() < 1.5 * steps.mean()
    for mounted in server(index).machine.volumes[1:]:
        other = of(full, index, "filesystem_used_bytes", mountpoint=mounted.volume.mountpoint)
        assert np.array_equal(other, of(calm, index, "filesystem_used_bytes", mountpoint=mounted.volume.mountpoint))
    device = server(index).machine.volumes[0].device
    written = of(full, index, "disk_write_bytes_total", device=device)[:, 0]
    assert written[180] - written[60] >= used[180] - used[60]


@each_role
def test_a_memory_leak_ends_in_an_out_of_memory_kill(index: int) -> None:
    leak = hour(index, Kind.MEMORY_LEAK)
    used = of(leak, index, "memory_used_bytes")[:, 0] / of(leak, index, "memory_total_bytes")[:, 0]
    assert np.allclose(used[HALF], 0.985, atol=1e-5)
    kills = of(leak, index, "memory_oom_kills_total")[:, 0]
    assert (kills[:181] == 0).all()
    assert (kills[AFTER] == 1).all()
    name = server(index).machine.role.programs[0].name

    def largest(*kinds: Kind) -> int:
        (one,) = server(index, *kinds).process_lists(NOON_MS + 25 * MINUTE_MS, 1)
        return max(process.memory_bytes for process in one.processes if process.name == name)

    (full,) = server(index, Kind.MEMORY_LEAK).process_lists(NOON_MS + 25 * MINUTE_MS, 1)
    assert sum(process.memory_bytes for process in full.processes) < server(index).machine.facts.memory_total_bytes
    assert largest(Kind.MEMORY_LEAK) > largest()


def test_in_a_partition_the_agent_counts_what_waits() -> None:
    waiting = of(hour(0, Kind.PARTITION), 0, "agent_queue_frames")[:, 0]
    assert waiting[:61].max() == 0
    assert waiting[DURING].tolist() == list(range(120))
    assert waiting[AFTER].max() == 0


def test_frames_and_process_lists_have_the_times_of_a_clock_that_is_off() -> None:
    skewed = SimulatedServer(
        0, seed=1, interval_ms=INTERVAL_MS, troubles=(Trouble(Kind.CLOCK_SKEW, START_MS, END_MS, 90_000),)
    )
    frames = skewed.frames(NOON_MS, 360)
    offs = [frame.time_ms - NOON_MS - number * INTERVAL_MS for number, frame in enumerate(frames)]
    assert offs == 61 * [0] + 120 * [90_000] + 179 * [1]
    assert skewed.extra_frame(START_MS, 1_000).time_ms == START_MS + 90_000
    assert [one.time_ms - START_MS for one in skewed.process_lists(START_MS + MINUTE_MS - 1, 1)] == [MINUTE_MS + 89_999]
