"""Filesystems from given tables of mounts."""

import threading
from types import SimpleNamespace

import psutil
import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.filesystem_usage import FilesystemUsage, UsageProber
from tests.support.agent_fakes import Partition, by_series, fake_ps, linux_only


def disk_ps(partitions):
    return fake_ps(disk_partitions=list(partitions), disk_io_counters=lambda perdisk, nowrap: None)


def mountpoints(readings) -> set[str]:
    return {dict(reading.labels)["mountpoint"] for reading in readings}


ROOT = Partition("/dev/vda1", "/", "ext4", "rw,relatime")


def test_values_are_those_that_df_prints() -> None:
    # 100 blocks, 60 used, 35 for users: root's reserve of 5 counts neither way
    usage = FilesystemUsage(100, 60, 35, inodes=10, inodes_used=4)
    seen = by_series(DiskCollector(disk_ps([ROOT]), usage=lambda path: usage).collect())
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


def test_without_mountinfo_the_mount_option_says_whether_it_is_read_only() -> None:
    options = Options(proc="/no/such/proc")
    mounts = [Partition("/dev/sda", "/cdrom", "ext4", "ro,noatime")]
    seen = by_series(DiskCollector(disk_ps(mounts), options, usage=lambda path: FilesystemUsage(1, 1, 0)).collect())
    assert seen["filesystem_read_only[/dev/sda][ext4][/cdrom]"] == 1


def test_pseudo_filesystems_and_repeated_mounts_are_left_out() -> None:
    mounts = [
        ROOT,
        Partition("/dev/vda1", "/srv/chroot", "ext4", "rw"),
        Partition("tmpfs", "/tmp/ram", "tmpfs", "rw"),
        Partition("/dev/loop3", "/snap/core/1", "squashfs", "ro"),
        Partition("overlay", "/data/merged", "overlay", "rw"),
        Partition("/dev/vdb", "/data", "xfs", "ro,noatime"),
    ]
    readings = list(DiskCollector(disk_ps(mounts), usage=lambda path: FilesystemUsage(10, 5, 5)).collect())
    assert mountpoints(readings) == {"/", "/data"}
    assert by_series(readings)["filesystem_read_only[/dev/vdb][xfs][/data]"] == 1


def test_the_overlay_root_of_a_container_is_read() -> None:
    readings = DiskCollector(
        disk_ps([Partition("overlay", "/", "overlay", "rw")]), usage=lambda path: FilesystemUsage(9, 3, 6)
    )
    assert by_series(readings.collect())["filesystem_used_bytes[overlay][overlay][/]"] == 3


def test_a_mount_that_cannot_be_read_is_reported_and_the_others_are_read() -> None:
    def usage(path: str) -> FilesystemUsage:
        if path == "/secret":
            raise PermissionError(13, "Permission denied")
        return FilesystemUsage(10, 5, 5)

    problems: list[str] = []
    options = Options(report_problem=lambda topic, problem: problems.append(problem))
    mounts = [Partition("/dev/vdb", "/secret", "ext4", "rw"), ROOT]
    seen = by_series(DiskCollector(disk_ps(mounts), options, usage=usage).collect())
    assert "filesystem_used_bytes[/dev/vda1][ext4][/]" in seen
    assert problems == ["/secret cannot be read: Permission denied"]


def test_only_a_dead_nfs_mount_is_missing() -> None:
    back = threading.Event()

    def usage(path: str) -> FilesystemUsage:
        if path == "/nfs":
            back.wait()
        return FilesystemUsage(10, 5, 5)

    problems: list[str] = []
    options = Options(report_problem=lambda topic, problem: problems.append(problem))
    mounts = [Partition("server:/export", "/nfs", "nfs4", "rw"), ROOT]
    collector = DiskCollector(disk_ps(mounts), options, usage=usage, prober=UsageProber(usage, wait_seconds=0.05))
    try:
        for _ in range(3):
            assert mountpoints(collector.collect()) == {"/"}
        assert problems == ["/nfs cannot be read: does not answer"] * 3
        waiting = [thread for thread in threading.enumerate() if thread.name == "bongsu-mount"]
        assert len(waiting) == 1  # it is not asked again while it hangs
    finally:
        back.set()
    waiting[0].join(5)
    assert mountpoints(collector.collect()) == {"/", "/nfs"}


def test_a_root_that_is_not_a_mount_point_is_read_once() -> None:
    mounts = [Partition("/dev/vda1", "/srv/data", "ext4", "rw"), Partition("proc", "/proc", "proc", "rw")]
    collector = DiskCollector(
        disk_ps(mounts),
        Options(proc="/no/such/proc", sys="/no/such/sys"),
        usage=lambda path: FilesystemUsage(10, 5, 5),
        platform="linux",
        root_device=lambda: "254:7",
    )
    readings = list(collector.collect())
    total = [dict(reading.labels) for reading in readings if reading.metric == "filesystem_total_bytes"]
    assert total == [
        {"device": "rootfs", "fstype": "unknown", "mountpoint": "/"},
        {"device": "/dev/vda1", "fstype": "ext4", "mountpoint": "/srv/data"},
    ]


def test_a_root_that_shares_its_device_with_a_mount_is_not_counted_twice(proc) -> None:
    # a chroot below /srv on the disk whose /srv/data is mounted inside it
    options = proc(self__mountinfo="23 22 254:1 /srv/data /data rw,relatime - ext4 /dev/vda1 rw\n")
    collector = DiskCollector(
        disk_ps([Partition("/dev/vda1", "/data", "ext4", "rw")]),
        options,
        usage=lambda path: FilesystemUsage(10, 5, 5),
        platform="linux",
        root_device=lambda: "254:1",
    )
    labels = {reading.labels for reading in collector.collect()}
    assert labels == {(("device", "/dev/vda1"), ("fstype", "ext4"), ("mountpoint", "/"))}


@linux_only
def test_a_container_host_with_300_mounts(tree) -> None:
    lines = ["/dev/sda1 / ext4 rw 0 0"]
    lines += [f"overlay /var/lib/docker/overlay2/{n}/merged overlay rw 0 0" for n in range(150)]
    lines += [f"/dev/sda1 /var/lib/kubelet/pods/{n}/volume ext4 rw 0 0" for n in range(140)]
    lines += [f"/dev/mapper/data{n} /data/{n} xfs rw 0 0" for n in range(9)]
    path = tree(filesystems="\text4\n\txfs\nnodev\toverlay\n", self__mounts="\n".join(lines) + "\n")
    assert (path / "self/mounts").exists()
    collector = DiskCollector(
        SimpleNamespace(disk_partitions=psutil.disk_partitions, disk_io_counters=lambda perdisk, nowrap: None),
        usage=lambda mount: FilesystemUsage(100, 50, 50),
    )
    assert mountpoints(collector.collect()) == {"/", *(f"/data/{n}" for n in range(9))}
