"""Collectors that read /proc themselves, and psutil's, against checked-in trees of /proc."""

import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bongsu.agent.collectors.agent import AgentCollector
from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.gpu import GpuCollector
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.mounts import Usage, read_only_filesystems
from bongsu.agent.collectors.sensors import SensorsCollector
from bongsu.agent.collectors.sockets import SocketsCollector
from bongsu.agent.collectors.system import SystemCollector
from bongsu.agent.collectors.systemd import SystemdCollector
from bongsu.agent.stats import Stats
from tests.support.agent_fakes import Partition, fake_ps
from tests.support.clock import FakeClock
from tests.unit.agent.test_collectors import values

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc through psutil")

SOCKSTAT = """sockets: used 301
TCP: inuse 20 orphan 1 tw 5 alloc 30 mem 3
UDP: inuse 4 mem 2
"""
SOCKSTAT6 = "TCP6: inuse 7\nUDP6: inuse 2\n"
SNMP = "Ip: Forwarding\nIp: 1\nTcp: RtoMin CurrEstab InSegs\nTcp: 200 17 9\n"


@pytest.fixture
def proc(tmp_path: Path):
    def write(**files: str) -> Options:
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return Options(proc=str(tmp_path))

    return write


def test_sockets_of_both_protocols_are_added_up(proc) -> None:
    options = proc(net__sockstat=SOCKSTAT, net__sockstat6=SOCKSTAT6, net__snmp=SNMP)
    seen = values(SocketsCollector(fake_ps(), options).collect())
    assert seen["network_tcp_connections[in_use]"] == 27
    assert seen["network_tcp_connections[time_wait]"] == 5
    assert seen["network_tcp_connections[established]"] == 17
    assert seen["network_udp_sockets"] == 6
    assert seen["network_sockets_used"] == 301
    assert seen["network_tcp_memory_bytes"] % 3 == 0


def test_sockets_without_ipv6(proc) -> None:
    seen = values(SocketsCollector(fake_ps(), proc(net__sockstat=SOCKSTAT, net__snmp=SNMP)).collect())
    assert seen["network_tcp_connections[in_use]"] == 20
    assert seen["network_udp_sockets"] == 4


def test_sockets_elsewhere_than_on_linux(proc) -> None:
    assert list(SocketsCollector(fake_ps(), proc()).collect()) == []


def system_ps():
    return fake_ps(boot_time=1000.0, users=["a", "b"])


def test_the_system_as_a_whole(proc) -> None:
    options = proc(
        stat="cpu 1 2\nprocesses 5000\nprocs_running 3\nprocs_blocked 1\n",
        loadavg="0.50 0.40 0.30 2/345 6789\n",
        sys__fs__file__nr="",
    )
    (Path(options.proc) / "sys/fs/file-nr").write_text("1234\t0\t99999\n")
    (Path(options.proc) / "pressure").mkdir()
    (Path(options.proc) / "pressure/cpu").write_text(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    (Path(options.proc) / "pressure/io").write_text(
        "some avg10=1.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"
    )
    seen = values(SystemCollector(system_ps(), options, now=lambda: 4600.0).collect())
    assert seen == {
        "system_uptime_seconds": 3600,
        "system_users": 2,
        "processes_started_total": 5000,
        "processes_running": 3,
        "processes_blocked": 1,
        "system_threads": 345,
        "system_file_handles": 1234,
        "system_file_handles_limit": 99999,
        "pressure_some_seconds_total[cpu]": 2.5,
        "pressure_some_seconds_total[io]": 3,
        "pressure_full_seconds_total[io]": 1,
    }


def test_a_system_without_proc_still_says_what_it_can(proc) -> None:
    seen = values(SystemCollector(system_ps(), proc(), now=lambda: 4600.0).collect())
    assert seen == {"system_uptime_seconds": 3600, "system_users": 2}


Sensor = namedtuple("Sensor", "label current high critical")


def test_sensors_that_there_are() -> None:
    ps = fake_ps(
        sensors_temperatures={"coretemp": [Sensor("Core 0", 51.0, 80, 90), Sensor("", 49.0, 80, 90)]},
        sensors_fans={"thinkpad": [SimpleNamespace(label="", current=2100)]},
        sensors_battery=SimpleNamespace(percent=80, power_plugged=False, secsleft=3600),
        cpu_freq=SimpleNamespace(current=2400.0),
    )
    assert values(SensorsCollector(ps).collect()) == {
        "sensor_temperature_celsius[coretemp][Core 0]": 51,
        "sensor_temperature_celsius[coretemp][2]": 49,
        "sensor_fan_rpm[thinkpad][1]": 2100,
        "battery_charge_ratio": 0.8,
        "battery_plugged": 0,
        "battery_left_seconds": 3600,
        "cpu_frequency_hertz": 2.4e9,
    }


def test_sensors_that_fail_or_are_not_there() -> None:
    def broken():
        raise OSError("no such chip")

    notes: list[str] = []
    ps = fake_ps(sensors_temperatures=broken, sensors_battery=lambda: None, cpu_freq=lambda: None)
    assert list(SensorsCollector(ps, Options(note=lambda topic, problem: notes.append(problem))).collect()) == []
    assert notes == ["psutil.sensors_temperatures fails: no such chip"]


def test_chips_are_chosen_by_pattern() -> None:
    ps = fake_ps(sensors_temperatures={"coretemp": [Sensor("a", 1, 1, 1)], "nvme": [Sensor("b", 2, 1, 1)]})
    options = Options({"chips": Filter(exclude=("nvme",))})
    assert list(values(SensorsCollector(ps, options).collect())) == ["sensor_temperature_celsius[coretemp][a]"]


UNITS = """nginx.service loaded active running A web server
broken.service loaded failed failed Something
old.service loaded inactive dead Old
ghost.service not-found inactive dead ghost.service
"""


def test_systemd_units_by_state() -> None:
    options = Options({"units": Filter(("nginx*",))})
    collector = SystemdCollector(fake_ps(), options, command=("printf", "%s", UNITS))
    seen = values(collector.collect())
    assert seen["systemd_units[active]"] == 1
    assert seen["systemd_units[failed]"] == 1
    assert seen["systemd_units[inactive]"] == 1
    assert seen["systemd_unit_failed[broken.service]"] == 1
    assert seen["systemd_unit_failed[nginx.service]"] == 0
    assert "systemd_unit_failed[old.service]" not in seen


def test_a_gpu_that_cannot_say_everything() -> None:
    class NotSupportedError(Exception):
        pass

    def not_supported(handle):
        raise NotSupportedError

    nvml = SimpleNamespace(
        NVMLError=NotSupportedError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: "handle",
        nvmlDeviceGetName=lambda handle: b"Tesla T4",
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=37),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=16, used=4),
        nvmlDeviceGetTemperature=lambda handle, sensor: 55,
        nvmlDeviceGetPowerUsage=lambda handle: 70_500,
        nvmlDeviceGetTotalEnergyConsumption=not_supported,
    )
    assert values(GpuCollector(fake_ps(), nvml=nvml).collect()) == {
        "gpu_usage_ratio[0][Tesla T4]": 0.37,
        "gpu_memory_total_bytes[0][Tesla T4]": 16,
        "gpu_memory_used_bytes[0][Tesla T4]": 4,
        "gpu_temperature_celsius[0][Tesla T4]": 55,
        "gpu_power_watts[0][Tesla T4]": 70.5,
    }


def test_no_gpu_no_complaint() -> None:
    class DriverError(Exception):
        pass

    def no_driver():
        raise DriverError

    nvml = SimpleNamespace(NVMLError=DriverError, nvmlInit=no_driver)
    assert list(GpuCollector(fake_ps(), nvml=nvml).collect()) == []


def test_the_agent_reports_itself() -> None:
    clock = FakeClock()
    stats = Stats(queue_frames=3, dropped_frames=2, oldest_unsent_ms=clock.now_ms() - 5000)
    stats.collector_errors["disk"] = 4
    spent = iter([1.0, 1.5])
    options = Options(values={"stats": stats, "tags": {"site": "seoul"}, "version": "9"})
    collector = AgentCollector(
        fake_ps(), options, now=lambda: clock.now_ms() / 1000, monotonic=clock.monotonic, cpu=lambda: next(spent)
    )
    clock.advance(10)
    seen = values(collector.collect())
    assert seen["agent_cpu_usage_ratio"] == pytest.approx(0.05)
    assert seen["agent_queue_frames"] == 3
    assert seen["agent_queue_age_seconds"] == pytest.approx(15)
    assert seen["agent_dropped_frames_total"] == 2
    assert seen["agent_collector_errors_total[disk]"] == 4
    assert seen["agent_info[seoul][9]"] == 1
    assert 5e6 < seen["agent_memory_bytes"] < 5e8


# --- psutil on trees of /proc ---

CPU_LINE = "cpu{n}  100 0 50 1000 10 0 5 0 0 0\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def write(**files: str) -> Path:
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
        return tmp_path

    return write


def a_stat(cores: int) -> str:
    lines = [CPU_LINE.format(n=number) for number in ["", *range(cores)]]
    return "".join(lines) + "intr 777 0 0\nctxt 888\nbtime 1600000000\nprocesses 5\nsoftirq 9 0\n"


@linux_only
def test_256_cores(tree) -> None:
    tree(stat=a_stat(256), cpuinfo="")
    collector = CpuCollector(psutil)
    list(collector.collect())
    tree(stat=a_stat(256).replace(" 100 0 50", " 200 0 50"))
    seen = values(collector.collect())
    assert seen["cpu_cores"] == 256
    assert sum(name.startswith("cpu_core_usage_ratio") for name in seen) == 256
    assert seen["cpu_usage_ratio"] == 1
    assert seen["interrupts_total"] == 777
    assert seen["context_switches_total"] == 888


@linux_only
@pytest.mark.filterwarnings("ignore:shared, active, inactive memory stats:RuntimeWarning")
def test_memory_of_an_old_kernel_without_mem_available(tree) -> None:
    kilobytes = {"MemTotal": 8000, "MemFree": 2000, "Buffers": 100, "Cached": 1000, "SwapTotal": 0, "SwapFree": 0}
    path = tree(
        meminfo="".join(f"{name}: {value} kB\n" for name, value in kilobytes.items()),
        vmstat="pswpin 0\npswpout 0\n",
        zoneinfo="",
    )
    seen = values(MemoryCollector(psutil, Options(proc=str(path))).collect())
    assert seen["memory_buffers_bytes"] == 100 * 1024
    assert "memory_shared_bytes" not in seen  # psutil would say 0
    assert "memory_slab_bytes" not in seen
    assert seen["memory_total_bytes"] == 8000 * 1024
    assert 0 < seen["memory_available_bytes"] <= 8000 * 1024
    assert 0 < seen["memory_usage_ratio"] < 1
    assert "swap_total_bytes" not in seen


@linux_only
def test_300_mounts_of_a_container_host(tree) -> None:
    lines = ["/dev/sda1 / ext4 rw 0 0"]
    lines += [f"overlay /var/lib/docker/overlay2/{n}/merged overlay rw 0 0" for n in range(150)]
    lines += [f"/dev/sda1 /var/lib/kubelet/pods/{n}/volume ext4 rw 0 0" for n in range(140)]
    lines += [f"/dev/mapper/data{n} /data/{n} xfs rw 0 0" for n in range(9)]
    path = tree(filesystems="\text4\n\txfs\nnodev\toverlay\n", self__mounts="\n".join(lines) + "\n")
    assert (path / "self/mounts").exists()
    collector = DiskCollector(
        SimpleNamespace(disk_partitions=psutil.disk_partitions, disk_io_counters=lambda perdisk, nowrap: None),
        usage=lambda mount: Usage(100, 50, 50),
    )
    mounts = {dict(reading.labels)["mountpoint"] for reading in collector.collect()}
    assert mounts == {"/", *(f"/data/{n}" for n in range(9))}


def test_read_only_is_what_the_filesystem_is_not_what_the_mount_shows(proc) -> None:
    options = proc(
        self__mountinfo=(
            "22 1 254:0 / / ro,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n"
            "23 22 254:1 / /my\\040data rw,relatime - ext4 /dev/vdb ro\n"
            "broken line\n"
        )
    )
    assert read_only_filesystems(options.proc) == {"/": False, "/my data": True}
    mounts = [Partition("/dev/vda", "/", "ext4", "ro,relatime"), Partition("/dev/vdb", "/my data", "ext4", "rw")]
    ps = fake_ps(disk_partitions=mounts, disk_io_counters=lambda perdisk, nowrap: None)
    seen = values(DiskCollector(ps, options, usage=lambda path: Usage(10, 5, 5)).collect())
    assert seen["filesystem_read_only[/dev/vda][ext4][/]"] == 0
    assert seen["filesystem_read_only[/dev/vdb][ext4][/my data]"] == 1
