"""The table of mounts, and the root filesystem in it."""

import sys

import pytest

from bongsu.agent.collectors.mounts import Mount, list_mounts, read_mountinfo
from tests.support.agent_fakes import Partition, fake_ps

MOUNTINFO = (
    "22 1 254:0 / / ro,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n"
    "23 22 254:1 / /my\\040data rw,relatime - ext4 /dev/vdb ro\n"
    "broken line\n"
)


def test_read_only_is_a_property_of_the_filesystem_not_of_the_mount(proc) -> None:
    options = proc(self__mountinfo=MOUNTINFO)
    read_only = {info.mount.mountpoint: info.mount.read_only for info in read_mountinfo(options.proc)}
    assert read_only == {"/": False, "/my data": True}
    partitions = [Partition("/dev/vda", "/", "ext4", "ro,relatime"), Partition("/dev/vdb", "/my data", "ext4", "rw")]
    assert list_mounts(fake_ps(disk_partitions=partitions), proc=options.proc) == [
        Mount("/dev/vda", "/", "ext4", False),
        Mount("/dev/vdb", "/my data", "ext4", True),
    ]


def unlisted_root(proc: str, sysfs: str, device_number: str) -> Mount:
    ps = fake_ps(disk_partitions=[Partition("proc", "/proc", "proc", "rw")])
    root, other = list_mounts(ps, proc=proc, sysfs=sysfs, platform="linux", root_device=lambda: device_number)
    assert other.mountpoint == "/proc"
    return root


@pytest.mark.skipif(sys.platform == "win32", reason="asks statvfs for the root")
def test_an_unlisted_root_has_the_labels_of_another_mount_of_its_device(proc) -> None:
    options = proc(self__mountinfo=MOUNTINFO)
    assert unlisted_root(options.proc, "/no/such/sys", "254:1") == Mount("/dev/vdb", "/", "ext4", True)


@pytest.mark.skipif(sys.platform == "win32", reason="asks statvfs for the root")
def test_an_unlisted_root_has_the_name_of_its_device_if_the_kernel_knows_it(tmp_path) -> None:
    (tmp_path / "dev/block/254:7").mkdir(parents=True)
    (tmp_path / "dev/block/254:7/uevent").write_text("MAJOR=254\nMINOR=7\nDEVNAME=vdc7\nDEVTYPE=partition\n")
    root = unlisted_root("/no/such/proc", str(tmp_path), "254:7")
    assert root[:3] == ("/dev/vdc7", "/", "unknown")
    root = unlisted_root("/no/such/proc", str(tmp_path), "0:99")
    assert root[:3] == ("rootfs", "/", "unknown")


def test_a_listed_root_is_listed_once_and_first() -> None:
    partitions = [
        Partition("/dev/vda1", "/etc/hosts", "ext4", "rw"),
        Partition("rootfs", "/", "rootfs", "rw"),
        Partition("/dev/vda1", "/", "ext4", "rw"),  # hides the root of the initial ramdisk
    ]
    mounts = list_mounts(fake_ps(disk_partitions=partitions), proc="/no/such/proc", platform="linux")
    assert [(mount.device, mount.mountpoint) for mount in mounts] == [("/dev/vda1", "/"), ("/dev/vda1", "/etc/hosts")]


def test_windows_has_no_root_directory() -> None:
    partitions = [Partition("C:\\", "C:\\", "NTFS", "rw,fixed"), Partition("D:\\", "D:\\", "", "cdrom")]
    mounts = list_mounts(fake_ps(disk_partitions=partitions), proc="/no/such/proc", platform="win32")
    assert [mount.mountpoint for mount in mounts] == ["C:\\"]


def test_without_a_table_of_mounts_the_root_is_still_there() -> None:
    def no_proc(all: bool):
        raise FileNotFoundError(2, "No such file or directory")

    mounts = list_mounts(fake_ps(disk_partitions=no_proc), proc="/no/such/proc", sysfs="/no/such/sys", platform="linux")
    assert [mount.mountpoint for mount in mounts] == ["/"]
