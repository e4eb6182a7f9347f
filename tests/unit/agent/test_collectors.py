"""Default collectors against given readings: names, labels and values."""

import math
import sys
import threading
from types import SimpleNamespace

import pytest

from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.collectors.base import Counter, Filter, Gauge, Options, Reading
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.mounts import MAX_HANGING, Prober, Usage
from bongsu.agent.collectors.network import NetworkCollector
from tests.support.agent_fakes import CpuTimes, DiskIo, NetIo, NetState, Partition, fake_ps
from tests.support.clock import FakeClock

GIB = 1024**3


def values(readings) -> dict[str, float]:
    """``metric{label values}`` -> value."""
    return {
        reading.metric + "".join(f"[{value}]" for _, value in reading.labels): reading.value for reading in readings
    }


def cpu_ps(times):
    return fake_ps(
        cpu_times=lambda percpu: times,
        cpu_count=lambda logical=True: 2 if logical else 1,
        cpu_stats=SimpleNamespace(ctx_switches=123, interrupts=456),
    )


def test_cpu_usage_is_the_share_of_time_that_was_not_idle() -> None:
    cores = [
        CpuTimes(10, 0, 5, 100, 1, 0, 0, 0, 0, 0),
        CpuTimes(20, 0, 5, 100, 1, 0, 0, 0, 0, 0),
    ]
    collector = CpuCollector(cpu_ps(cores))
    first = values(collector.collect())
    assert "cpu_usage_ratio" not in first
    # core 0: 3 s busy of 10 s; core 1: 1 s busy of 10 s, of which 4 s waiting for a disk, which is idle
    cores[0] = CpuTimes(12, 0, 6, 107, 1, 0, 0, 0, 0, 0)
    cores[1] = CpuTimes(21, 0, 5, 105, 5, 0, 0, 0, 0, 0)
    second = values(collector.collect())
    assert second["cpu_core_usage_ratio[0]"] == pytest.approx(0.3)
    assert second["cpu_core_usage_ratio[1]"] == pytest.approx(0.1)
    assert second["cpu_usage_ratio"] == pytest.approx(0.2)
    assert second["cpu_cores"] == 2
    assert second["cpu_physical_cores"] == 1
    assert second["cpu_time_seconds_total[user]"] == 33
    assert second["cpu_time_seconds_total[iowait]"] == 6
    assert second["context_switches_total"] == 123
    assert second["interrupts_total"] == 456


def test_the_time_of_guests_is_counted_once() -> None:
    collector = CpuCollector(cpu_ps([CpuTimes(100, 10, 0, 50, 0, 0, 0, 0, 60, 4)]))
    seen = values(collector.collect())
    assert seen["cpu_time_seconds_total[user]"] == 40  # 100 - 60
    assert seen["cpu_time_seconds_total[nice]"] == 6  # 10 - 4
    assert seen["cpu_time_seconds_total[guest]"] == 60


def test_waiting_time_that_runs_backwards_makes_no_negative_usage() -> None:
    times = [CpuTimes(10, 0, 0, 100, 50, 0, 0, 0, 0, 0)]
    collector = CpuCollector(cpu_ps(times))
    list(collector.collect())
    times[0] = CpuTimes(11, 0, 0, 100, 40, 0, 0, 0, 0, 0)
    assert values(collector.collect())["cpu_usage_ratio"] == 1.0


def test_a_core_that_came_up_only_costs_one_reading_of_usage() -> None:
    times = [CpuTimes(*[1] * 10)]
    collector = CpuCollector(cpu_ps(times))
    list(collector.collect())
    times.append(CpuTimes(*[1] * 10))
    assert "cpu_usage_ratio" not in values(collector.collect())
    times[:] = [CpuTimes(2, 1, 1, 2, 1, 1, 1, 1, 1, 1)] * 2
    assert values(collector.collect())["cpu_usage_ratio"] == pytest.approx(0.5)


def memory_ps(swap_total=0, **fields):
    swap = SimpleNamespace(total=swap_total, used=swap_total // 4, free=swap_total * 3 // 4, sin=7, sout=8)
    return fake_ps(virtual_memory=SimpleNamespace(**fields), swap_memory=swap)


def test_memory_in_bytes_and_as_a_share() -> None:
    fields = {"total": 8 * GIB, "available": 6 * GIB, "used": GIB, "free": 5 * GIB, "cached": GIB, "slab": 5}
    seen = values(MemoryCollector(memory_ps(**fields)).collect())
    assert seen["memory_total_bytes"] == 8 * GIB
    assert seen["memory_cached_bytes"] == GIB
    assert seen["memory_usage_ratio"] == 0.25  # (8 - 6) / 8
    assert "memory_buffers_bytes" not in seen  # macOS and Windows have none
    assert not [name for name in seen if name.startswith("swap")]


def test_swap_where_there_is_some() -> None:
    seen = values(MemoryCollector(memory_ps(4 * GIB, total=GIB, available=GIB)).collect())
    assert seen["swap_usage_ratio"] == 0.25
    assert seen["swap_in_bytes_total"] == 7
    assert seen["swap_out_bytes_total"] == 8


def network_ps(**names):
    return fake_ps(
        net_io_counters={name: NetIo(1, 2, 3, 4, 5, 6, 7, 8) for name in names},
        net_if_stats={name: state for name, state in names.items() if state},
    )


def test_network_counts_both_ways() -> None:
    seen = values(NetworkCollector(network_ps(eth0=NetState(True, 2, 1000, 1500, ""))).collect())
    expected = {
        "network_transmit_bytes_total[eth0]": 1,
        "network_receive_bytes_total[eth0]": 2,
        "network_transmit_packets_total[eth0]": 3,
        "network_receive_packets_total[eth0]": 4,
        "network_receive_errors_total[eth0]": 5,
        "network_transmit_errors_total[eth0]": 6,
        "network_receive_drops_total[eth0]": 7,
        "network_up[eth0]": 1,
        "network_speed_bits[eth0]": 1_000_000_000,
    }
    if sys.platform != "darwin":
        expected["network_transmit_drops_total[eth0]"] = 8
    assert seen == expected


@pytest.mark.parametrize("speed", [0, 65_535, -1])
def test_a_speed_that_is_not_known_is_left_out(speed: int) -> None:
    seen = values(NetworkCollector(network_ps(wlan0=NetState(False, 0, speed, 1500, ""))).collect())
    assert seen["network_up[wlan0]"] == 0
    assert "network_speed_bits[wlan0]" not in seen


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(Options(), {"eth0", "wg0"}, id="loopback and virtual pairs are left out by default"),
        pytest.param(
            Options({"interfaces": Filter(exclude=("wg*",))}), {"eth0", "lo", "veth12"}, id="own exclusion replaces it"
        ),
        pytest.param(Options({"interfaces": Filter(("lo", "eth*"))}), {"eth0", "lo"}, id="only these"),
        pytest.param(Options({"interfaces": Filter(("eth*",), ("eth0",))}), set(), id="these without those"),
    ],
)
def test_interfaces_are_chosen_by_pattern(options: Options, expected: set[str]) -> None:
    state = NetState(True, 2, 1000, 1500, "")
    readings = NetworkCollector(network_ps(lo=state, eth0=state, veth12=state, wg0=state), options).collect()
    assert {dict(reading.labels)["interface"] for reading in readings} == expected


def test_an_interface_that_goes_away_between_two_reads_keeps_its_counters() -> None:
    seen = values(NetworkCollector(network_ps(eth0=None)).collect())
    assert "network_receive_bytes_total[eth0]" in seen
    assert "network_up[eth0]" not in seen


def disk_ps(partitions=(), io=None):
    return fake_ps(disk_partitions=list(partitions), disk_io_counters=lambda perdisk, nowrap: io)


ROOT = Partition("/dev/vda1", "/", "ext4", "rw,relatime")


def test_filesystems_as_df_prints_them() -> None:
    # 100 blocks, 60 used, 35 for users: root's reserve of 5 counts neither way
    usage = Usage(100, 60, 35, inodes=10, inodes_used=4)
    seen = values(DiskCollector(disk_ps([ROOT]), usage=lambda path: usage).collect())
    labels = "[/dev/vda1][ext4][/]"
    assert seen == {
        f"filesystem_total_bytes{labels}": 100,
        f"filesystem_used_bytes{labels}": 60,
        f"filesystem_available_bytes{labels}": 35,
        f"filesystem_usage_ratio{labels}": pytest.approx(60 / 95),
        f"filesystem_inodes{labels}": 10,
        f"filesystem_inodes_used{labels}": 4,
        f"filesystem_inodes_usage_ratio{labels}": 0.4,
        f"filesystem_read_only{labels}": 0,
    }


def test_a_mount_option_counts_where_the_kernel_says_no_more() -> None:
    options = Options(proc="/no/such/proc")
    mounts = [Partition("/dev/sda", "/cdrom", "ext4", "ro,noatime")]
    seen = values(DiskCollector(disk_ps(mounts), options, usage=lambda path: Usage(1, 1, 0)).collect())
    assert seen["filesystem_read_only[/dev/sda][ext4][/cdrom]"] == 1


def test_pseudo_and_repeated_mounts_are_left_out() -> None:
    mounts = [
        ROOT,
        Partition("/dev/vda1", "/srv/chroot", "ext4", "rw"),
        Partition("tmpfs", "/tmp/ram", "tmpfs", "rw"),
        Partition("/dev/loop3", "/snap/core/1", "squashfs", "ro"),
        Partition("overlay", "/data/merged", "overlay", "rw"),
        Partition("/dev/vdb", "/data", "xfs", "ro,noatime"),
    ]
    readings = list(DiskCollector(disk_ps(mounts), usage=lambda path: Usage(10, 5, 5)).collect())
    assert {dict(reading.labels)["mountpoint"] for reading in readings} == {"/", "/data"}
    assert values(readings)["filesystem_read_only[/dev/vdb][xfs][/data]"] == 1


def test_the_root_of_a_container_is_seen() -> None:
    readings = DiskCollector(disk_ps([Partition("overlay", "/", "overlay", "rw")]), usage=lambda path: Usage(9, 3, 6))
    assert values(readings.collect())["filesystem_used_bytes[overlay][overlay][/]"] == 3


def test_a_mount_that_cannot_be_read_does_not_lose_the_rest() -> None:
    def usage(path: str) -> Usage:
        if path == "/secret":
            raise PermissionError(13, "Permission denied")
        return Usage(10, 5, 5)

    notes: list[str] = []
    options = Options(note=lambda topic, problem: notes.append(problem))
    mounts = [Partition("/dev/vdb", "/secret", "ext4", "rw"), ROOT]
    seen = values(DiskCollector(disk_ps(mounts), options, usage=usage).collect())
    assert "filesystem_used_bytes[/dev/vda1][ext4][/]" in seen
    assert notes == ["/secret cannot be read: Permission denied"]


def test_a_dead_nfs_mount_is_alone_in_being_missing() -> None:
    back = threading.Event()

    def usage(path: str) -> Usage:
        if path == "/nfs":
            back.wait()
        return Usage(10, 5, 5)

    notes: list[str] = []
    options = Options(note=lambda topic, problem: notes.append(problem))
    mounts = [Partition("server:/export", "/nfs", "nfs4", "rw"), ROOT]
    collector = DiskCollector(disk_ps(mounts), options, usage=usage)
    collector._prober = Prober(usage, wait_seconds=0.05)
    try:
        for _ in range(3):
            seen = {dict(reading.labels)["mountpoint"] for reading in collector.collect()}
            assert seen == {"/"}
        assert notes == ["/nfs cannot be read: does not answer"] * 3
        waiting = [thread for thread in threading.enumerate() if thread.name == "bongsu-mount"]
        assert len(waiting) == 1  # it is not asked again while it hangs
    finally:
        back.set()
    waiting[0].join(5)
    assert {dict(reading.labels)["mountpoint"] for reading in collector.collect()} == {"/", "/nfs"}


def test_many_dead_mounts_do_not_make_many_threads() -> None:
    back = threading.Event()

    def usage(path: str) -> Usage:
        back.wait()
        return Usage(1, 1, 0)

    prober = Prober(usage, wait_seconds=0.001)
    try:
        for number in range(MAX_HANGING + 5):
            with pytest.raises(TimeoutError):
                prober.usage(f"/nfs/{number}")
        assert sum(thread.name == "bongsu-mount" for thread in threading.enumerate()) == MAX_HANGING
    finally:
        back.set()


def test_device_traffic_and_what_iostat_makes_of_it() -> None:
    clock = FakeClock()
    io = {"vda": DiskIo(100, 50, 1000, 2000, 400, 600, 500), "vda1": DiskIo(1, 1, 1, 1, 1, 1, 1)}
    ps = disk_ps(io=io)
    collector = DiskCollector(ps, monotonic=clock.monotonic)
    first = values(collector.collect())
    assert first["disk_read_bytes_total[vda]"] == 1000
    assert first["disk_write_seconds_total[vda]"] == 0.6
    assert math.isnan(first["disk_busy_ratio[vda]"])
    assert not [name for name in first if "[vda1]" in name]  # its disk counts it
    clock.advance(10)
    io["vda"] = DiskIo(150, 100, 5000, 6000, 900, 2100, 3000)
    second = values(collector.collect())
    assert second["disk_busy_ratio[vda]"] == pytest.approx(0.25)  # 2.5 s of 10 s
    assert second["disk_await_seconds[vda]"] == pytest.approx(0.02)  # 2 s for 100 operations
    assert second["disk_queue_length[vda]"] == pytest.approx(0.2)  # 2 s of waiting in 10 s
    clock.advance(10)
    third = values(collector.collect())
    assert third["disk_busy_ratio[vda]"] == 0
    assert math.isnan(third["disk_await_seconds[vda]"])  # no operation, no average


@pytest.mark.parametrize("name", ["sda1", "vdb12", "xvda2", "nvme0n1p3", "mmcblk0p1", "loop0", "ram1", "zram0", "sr0"])
def test_what_is_not_a_disk_of_its_own_is_left_out(name: str) -> None:
    collector = DiskCollector(disk_ps(io={name: DiskIo(*[1] * 7)}))
    assert list(collector.collect()) == []


@pytest.mark.parametrize(
    "name", ["sda", "vdb", "nvme0n1", "mmcblk0", "dm-0", "md127", "xvda", "disk0", "PhysicalDrive0"]
)
def test_disks_are_seen(name: str) -> None:
    collector = DiskCollector(disk_ps(io={name: DiskIo(*[1] * 7)}))
    assert Reading("disk_reads_total", 1, (("device", name),)) in list(collector.collect())


def test_a_machine_without_disks_has_no_traffic() -> None:
    assert list(DiskCollector(disk_ps(io=None)).collect()) == []


def test_a_disk_whose_counters_went_back_says_nothing_about_itself() -> None:
    clock = FakeClock()
    io = {"sda": DiskIo(100, 100, 1, 1, 1000, 1000, 1000)}
    collector = DiskCollector(disk_ps(io=io), monotonic=clock.monotonic)
    list(collector.collect())
    clock.advance(10)
    io["sda"] = DiskIo(1, 1, 1, 1, 1, 1, 1)
    seen = values(collector.collect())
    assert seen["disk_busy_ratio[sda]"] == 0
    assert math.isnan(seen["disk_await_seconds[sda]"])
    assert math.isnan(seen["disk_queue_length[sda]"])


@pytest.mark.parametrize("collector", COLLECTORS, ids=lambda collector: collector.name)
def test_names_follow_the_convention(collector) -> None:
    names = [metric.name for metric in collector.metrics]
    assert len(set(names)) == len(names)
    for metric in collector.metrics:
        assert isinstance(metric, Gauge | Counter)
        assert metric.name.endswith("_total") == isinstance(metric, Counter), metric.name
        assert metric.help.endswith("."), metric.name
        assert "percent" not in metric.name


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("network_receive_bytes_total", "bytes"),
        ("cpu_usage_ratio", "ratio"),
        ("disk_reads_total", ""),
        ("load_1m", ""),
        ("network_speed_bits", "bits"),
    ],
)
def test_the_unit_is_in_the_name(name: str, unit: str) -> None:
    assert Gauge(name, "").unit == unit
