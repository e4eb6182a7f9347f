"""The values of simulated servers: possible, consistent, and the same whenever they are asked for."""

from functools import cache

import numpy as np
import pytest

from bongsu.arrays import Values
from bongsu.core.samples import unpack
from bongsu.core.series import Kind, Series
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.server.config import Limits
from bongsu.server.ingest.lists import check_process_lists
from bongsu.simulator.roles import MIX
from bongsu.simulator.server import AHEAD, SimulatedServer

INTERVAL_MS = 10_000
NOON_MS = 1_800_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
DAY_TICKS = DAY_MS // INTERVAL_MS


@cache
def server(index: int) -> SimulatedServer:
    return SimulatedServer(index, seed=1, interval_ms=INTERVAL_MS)


@cache
def day(index: int) -> Values:
    """A day of values."""
    return server(index).values(NOON_MS, DAY_TICKS)


def of(index: int, metric: str, **labels: str) -> Values:
    """(ticks, series) the values of a metric."""
    wanted = set(labels.items())
    series = server(index).layout.series
    places = [place for place, one in enumerate(series) if one.metric == metric and wanted <= set(one.labels)]
    assert places, metric
    return day(index)[:, places]


each_role = pytest.mark.parametrize("index", range(len(MIX)))


@each_role
def test_values_are_possible(index: int) -> None:
    for place, series in enumerate(server(index).layout.series):
        values = day(index)[:, place]
        known = values[~np.isnan(values)]
        assert len(known) > 0.9 * DAY_TICKS, series
        assert (known >= 0).all(), series
        if series.unit == "ratio":
            assert (known <= 1).all(), series
        if series.kind is Kind.COUNTER:
            assert (np.diff(known) >= 0).all(), series


@each_role
def test_parts_fit_the_whole(index: int) -> None:
    total = of(index, "memory_total_bytes")
    for part in ("used", "available", "free", "cached", "shared", "slab", "buffers"):
        assert (of(index, f"memory_{part}_bytes") <= total).all(), part
    parts = sum(of(index, f"memory_{part}_bytes") for part in ("used", "free", "buffers", "cached"))
    assert np.allclose(parts, total, rtol=1e-5)
    used, available = of(index, "filesystem_used_bytes"), of(index, "filesystem_available_bytes")
    assert (used + available <= of(index, "filesystem_total_bytes")).all()
    assert np.allclose(of(index, "filesystem_usage_ratio"), used / (used + available))


@each_role
def test_metrics_of_the_cpu_agree(index: int) -> None:
    cores = server(index).machine.cores
    usage = of(index, "cpu_usage_ratio")[:, 0]
    assert np.allclose(of(index, "cpu_core_usage_ratio").mean(axis=1), usage)
    seconds = of(index, "cpu_time_seconds_total")
    assert np.allclose(np.diff(seconds.sum(axis=1)), cores * INTERVAL_MS / 1000)
    idle = of(index, "cpu_time_seconds_total", mode="idle") + of(index, "cpu_time_seconds_total", mode="iowait")
    assert np.allclose(1 - np.diff(idle[:, 0]) / cores / (INTERVAL_MS / 1000), usage[1:], atol=1e-6)
    assert usage.max() < server(index).machine.busiest


@each_role
def test_the_network_is_not_faster_than_its_link(index: int) -> None:
    quick = SimulatedServer(index, seed=1, interval_ms=1_000)
    places = {series.metric: place for place, series in enumerate(quick.layout.series)}
    seconds = quick.values(NOON_MS, 12_000)
    for direction in ("receive", "transmit"):
        rate = np.diff(seconds[:, places[f"network_{direction}_bytes_total"]])
        assert rate.max() * 8 < seconds[0, places["network_speed_bits"]]


@each_role
def test_cpu_load_and_network_go_together(index: int) -> None:
    hours = DAY_TICKS // 24
    usage = of(index, "cpu_usage_ratio")[:, 0].reshape(24, hours).mean(axis=1)
    load = of(index, "load_5m")[:, 0].reshape(24, hours).mean(axis=1)
    sent = of(index, "network_transmit_bytes_total")[:, 0]
    rate = np.append(np.diff(sent), 0.0).reshape(24, hours).mean(axis=1)
    assert np.corrcoef(usage, load)[0, 1] > 0.7
    assert np.corrcoef(usage, rate)[0, 1] > 0.6


def test_servers_of_one_role_and_site_share_their_day() -> None:
    web = [index for index, role in enumerate(MIX) if role == "web"]
    at_one_site = [index for index in web if server(index).machine.tags["site"] == "seoul"]
    assert len(at_one_site) >= 2
    first, second = (of(index, "cpu_usage_ratio")[:, 0].reshape(24, -1).mean(axis=1) for index in at_one_site[:2])
    assert np.corrcoef(first, second)[0, 1] > 0.7
    assert not np.array_equal(day(at_one_site[0])[:, 0], day(at_one_site[1])[:, 0])


def test_each_frame_is_the_same_in_whichever_way_it_is_made() -> None:
    batch = server(1).frames(NOON_MS, 3 * AHEAD)
    other = SimulatedServer(1, seed=1, interval_ms=INTERVAL_MS)
    alone = [other.frames(NOON_MS + number * INTERVAL_MS, 1)[0] for number in range(3 * AHEAD)]
    assert [frame.time_ms for frame in batch] == [frame.time_ms for frame in alone]
    for one, two in zip(batch, alone, strict=True):
        assert one.layout_id == two.layout_id
        assert np.allclose(unpack(one.values), unpack(two.values), rtol=1e-9, atol=1e-6, equal_nan=True)


def test_a_frame_asked_for_out_of_order() -> None:
    fresh = SimulatedServer(0, seed=1, interval_ms=INTERVAL_MS)
    late = fresh.frames(NOON_MS + 5 * INTERVAL_MS, 1)[0]
    early = fresh.frames(NOON_MS, 1)[0]
    assert unpack(early.values)[0] == pytest.approx(of(0, "cpu_usage_ratio")[0, 0])
    assert unpack(late.values)[0] == pytest.approx(of(0, "cpu_usage_ratio")[5, 0])


def test_another_seed_makes_other_values() -> None:
    other = SimulatedServer(0, seed=2, interval_ms=INTERVAL_MS)
    assert unpack(other.frames(NOON_MS, 1)[0].values)[0] != of(0, "cpu_usage_ratio")[0, 0]


def test_servers_of_one_shape_share_a_layout() -> None:
    servers = [SimulatedServer(index, seed=1, interval_ms=INTERVAL_MS) for index in range(400)]
    by_id: dict[int, tuple[Series, ...]] = {}
    for one in servers:
        assert by_id.setdefault(one.layout.id, one.layout.series) is one.layout.series
    assert len(by_id) < 200


def test_processes_are_listed_once_a_minute() -> None:
    lists = server(1).process_lists(NOON_MS + INTERVAL_MS, 18)
    assert [one.time_ms for one in lists] == [NOON_MS + number * MINUTE_MS for number in (1, 2, 3)]
    check_process_lists(lists, Limits(), lists[-1].time_ms, lists[0].time_ms)


@each_role
def test_processes_do_not_use_more_than_the_machine_has(index: int) -> None:
    machine = server(index).machine
    for one in server(index).process_lists(NOON_MS, 60):
        ratios = [process.cpu_ratio for process in one.processes]
        assert ratios == sorted(ratios, reverse=True)
        assert 0 < sum(ratios) < machine.cores
        assert sum(process.memory_bytes for process in one.processes) < machine.facts.memory_total_bytes
        assert len({process.pid for process in one.processes}) == len(one.processes)
