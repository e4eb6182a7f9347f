"""An agent in a container sees the host: its mounts, network and control groups, and not its own."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.filesystem_usage import FilesystemUsage
from bongsu.agent.collectors.host import Host, find_host
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.network import NetworkCollector
from bongsu.agent.collectors.sockets import SocketsCollector
from bongsu.agent.config import Config
from bongsu.agent.wiring import make_collectors
from tests.support.agent_fakes import by_series, fake_ps

DEVICES = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0
eth0:1:     500       5    0    0    0     0          0         0      600       6    0    0    0     0       0          0
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """The host's root as it is mounted into a container, whose own mounts are around it."""
    root = tmp_path / "host"
    (root / "proc/1/net").mkdir(parents=True)
    (root / "proc/1/stat").write_text("1 (init) S")
    (root / "proc/1/net/dev").write_text(DEVICES)
    (root / "proc/1/net/sockstat").write_text("sockets: used 77\nTCP: inuse 5 orphan 0 tw 1 alloc 9 mem 2\n")
    (root / "proc/1/net/snmp").write_text("Tcp: CurrEstab\nTcp: 4\n")
    (root / "proc/self").mkdir()
    mounts = [
        ("/", "overlay", "overlay"),
        ("/etc/hosts", "ext4", "/dev/vda1"),
        ("/var/lib/bongsu", "ext4", "/dev/vda1"),
        (str(root), "ext4", "/dev/vda1"),
        (f"{root}/var", "xfs", "/dev/vdb"),
        (f"{root}/proc", "proc", "proc"),
        (f"{root}/run/user/0", "tmpfs", "tmpfs"),
        (f"{root}/var/lib/docker/overlay2/x/merged", "overlay", "overlay"),
        (f"{root}/var/lib/docker/volumes", "ext4", "/dev/vdc"),
        (f"{root}-other", "ext4", "/dev/vdd"),
        (f"{root}/mnt/nas", "nfs4", "nas:/export"),
    ]
    (root / "proc/self/mountinfo").write_text(
        "".join(f"{n} 1 8:{n} / {path} rw - {fstype} {device} rw\n" for n, (path, fstype, device) in enumerate(mounts))
    )
    for name, state, speed in (("eth0", "up", "1000\n"), ("lo", "unknown", ""), ("eth1", "down", "")):
        (root / "sys/class/net" / name).mkdir(parents=True)
        (root / "sys/class/net" / name / "operstate").write_text(f"{state}\n")
        (root / "sys/class/net" / name / "speed").write_text(speed)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    return find_host(f"{root}/proc", str(root))


def options_of(host: Host) -> Options:
    return Options(proc=host.proc, sys=host.sys, root=host.root)


def test_the_host_is_found_by_its_mount(host: Host, tmp_path: Path) -> None:
    assert host == (str(tmp_path / "host"), str(tmp_path / "host/proc"), str(tmp_path / "host/sys"))


def test_a_folder_or_a_disk_of_that_name_is_not_the_host(host: Host, tmp_path: Path) -> None:
    assert find_host(host.proc, str(tmp_path)).root == ""
    (tmp_path / "host/proc/1/stat").unlink()
    assert find_host(host.proc, host.root) == ("", host.proc, "/sys")


def test_filesystems_have_their_names_on_the_host(host: Host) -> None:
    asked = []

    def usage(path: str) -> FilesystemUsage:
        asked.append(path)
        return FilesystemUsage(100, 40, 60)

    ps = fake_ps(disk_io_counters=lambda perdisk, nowrap: None)
    readings = by_series(DiskCollector(ps, options_of(host), usage=usage).collect())
    assert [name for name in readings if name.startswith("filesystem_used_bytes")] == [
        "filesystem_used_bytes[/dev/vda1][ext4][/]",
        "filesystem_used_bytes[/dev/vdb][xfs][/var]",
        "filesystem_used_bytes[nas:/export][nfs4][/mnt/nas]",
    ]
    assert asked == [f"{host.root}/", f"{host.root}/var", f"{host.root}/mnt/nas"]


def test_network_of_the_host(host: Host) -> None:
    readings = by_series(NetworkCollector(fake_ps(), options_of(host)).collect())
    assert {name: value for name, value in readings.items() if "[eth0]" in name} == {
        "network_receive_bytes_total[eth0]": 1000,
        "network_transmit_bytes_total[eth0]": 2000,
        "network_receive_packets_total[eth0]": 10,
        "network_transmit_packets_total[eth0]": 20,
        "network_receive_errors_total[eth0]": 1,
        "network_transmit_errors_total[eth0]": 3,
        "network_receive_drops_total[eth0]": 2,
        "network_transmit_drops_total[eth0]": 4,
        "network_up[eth0]": 1,
        "network_speed_bits[eth0]": 1e9,
    }
    assert readings["network_receive_bytes_total[eth0:1]"] == 500
    sockets = by_series(SocketsCollector(fake_ps(), options_of(host)).collect())
    assert sockets["network_sockets_used"] == 77


def test_the_limit_of_the_agents_own_container_is_not_the_machines(tmp_path: Path, host: Host) -> None:
    own = tmp_path / "own/fs/cgroup"
    own.mkdir(parents=True)
    (own / "memory.max").write_text("134217728\n")
    (own / "memory.current").write_text("1\n")
    memory = SimpleNamespace(total=8, available=4, used=4, free=2, percent=50.0)
    swap = SimpleNamespace(total=0, used=0, free=0, percent=0.0, sin=0, sout=0)
    ps = fake_ps(virtual_memory=memory, swap_memory=swap)
    (tmp_path / "host/proc/vmstat").write_text("oom_kill 0\n")
    (tmp_path / "host/proc/meminfo").write_text("MemTotal: 8 kB\nMemAvailable: 4 kB\n")
    in_container = by_series(MemoryCollector(ps, Options(proc=host.proc, sys=str(tmp_path / "own"))).collect())
    assert in_container["memory_limit_bytes"] == 134217728
    assert "memory_limit_bytes" not in by_series(MemoryCollector(ps, options_of(host)).collect())


def test_all_collectors_get_the_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr("bongsu.agent.wiring.find_host", lambda: host)
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc")
    for collector, _ in make_collectors(Config(), lambda topic, problem: None):
        assert (collector._options.root, collector._options.proc, collector._options.sys) == host
        collector.close()


def test_sockets_of_daemons_are_looked_for_on_the_host(tmp_path: Path) -> None:
    import socket

    from bongsu.agent.collectors.containers.sockets import find_sockets

    (tmp_path / "run/user/1000").mkdir(parents=True)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to(tmp_path / "run")
    for name in ("docker.sock", "user/1000/docker.sock"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "run" / name))
    assert find_sockets(None, str(tmp_path)) == [
        f"{tmp_path}/var/run/docker.sock",
        f"{tmp_path}/run/user/1000/docker.sock",
    ]
