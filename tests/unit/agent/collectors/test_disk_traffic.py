"""Traffic of block devices from given readings."""

import math

import pytest

from bongsu.agent.collectors.base import Reading
from bongsu.agent.collectors.disk_traffic import DEFAULT_DEVICES, DiskTraffic
from tests.support.agent_fakes import DiskIo, by_series, fake_ps
from tests.support.clock import FakeClock


def traffic_ps(io):
    return fake_ps(disk_io_counters=lambda perdisk, nowrap: io)


def test_traffic_and_the_averages_that_iostat_prints() -> None:
    clock = FakeClock()
    io = {"vda": DiskIo(100, 50, 1000, 2000, 400, 600, 500), "vda1": DiskIo(1, 1, 1, 1, 1, 1, 1)}
    ps = traffic_ps(io)
    traffic = DiskTraffic(ps, DEFAULT_DEVICES, clock.monotonic)
    first = by_series(traffic.collect())
    assert first["disk_read_bytes_total[vda]"] == 1000
    assert first["disk_write_seconds_total[vda]"] == 0.6
    assert math.isnan(first["disk_busy_ratio[vda]"])
    assert not [name for name in first if "[vda1]" in name]  # its disk counts it
    clock.advance(10)
    io["vda"] = DiskIo(150, 100, 5000, 6000, 900, 2100, 3000)
    second = by_series(traffic.collect())
    assert second["disk_busy_ratio[vda]"] == pytest.approx(0.25)  # 2.5 s of 10 s
    assert second["disk_await_seconds[vda]"] == pytest.approx(0.02)  # 2 s for 100 operations
    assert second["disk_queue_length[vda]"] == pytest.approx(0.2)  # 2 s of waiting in 10 s
    clock.advance(10)
    third = by_series(traffic.collect())
    assert third["disk_busy_ratio[vda]"] == 0
    assert math.isnan(third["disk_await_seconds[vda]"])  # no operation, no average


@pytest.mark.parametrize("name", ["sda1", "vdb12", "xvda2", "nvme0n1p3", "mmcblk0p1", "loop0", "ram1", "zram0", "sr0"])
def test_partitions_and_virtual_disks_are_left_out(name: str) -> None:
    traffic = DiskTraffic(traffic_ps({name: DiskIo(*[1] * 7)}), DEFAULT_DEVICES)
    assert list(traffic.collect()) == []


@pytest.mark.parametrize(
    "name", ["sda", "vdb", "nvme0n1", "mmcblk0", "dm-0", "md127", "xvda", "disk0", "PhysicalDrive0"]
)
def test_whole_disks_are_read(name: str) -> None:
    traffic = DiskTraffic(traffic_ps({name: DiskIo(*[1] * 7)}), DEFAULT_DEVICES)
    assert Reading("disk_reads_total", 1, (("device", name),)) in list(traffic.collect())


def test_a_machine_without_disks_has_no_traffic() -> None:
    assert list(DiskTraffic(traffic_ps(None), DEFAULT_DEVICES).collect()) == []


def test_a_disk_whose_counters_were_reset_has_no_averages() -> None:
    clock = FakeClock()
    io = {"sda": DiskIo(100, 100, 1, 1, 1000, 1000, 1000)}
    traffic = DiskTraffic(traffic_ps(io), DEFAULT_DEVICES, clock.monotonic)
    list(traffic.collect())
    clock.advance(10)
    io["sda"] = DiskIo(1, 1, 1, 1, 1, 1, 1)
    seen = by_series(traffic.collect())
    assert seen["disk_busy_ratio[sda]"] == 0
    assert math.isnan(seen["disk_await_seconds[sda]"])
    assert math.isnan(seen["disk_queue_length[sda]"])
