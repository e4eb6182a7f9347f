"""The table of mounted filesystems.

The root filesystem is always in it. A chroot, and some containers, have a root directory that is not a mount point, so
the kernel's table does not list it.
"""

import os
import re
import sys
from collections.abc import Callable
from typing import NamedTuple

from bongsu.agent.collectors.base import Ps
from bongsu.agent.procfs import read_first

# space, tab, newline and backslash in a mount point
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    device: str
    mountpoint: str
    fstype: str
    read_only: bool


class MountInfo(NamedTuple):
    """A line of mountinfo. ``device_number``: ``major:minor``."""

    device_number: str
    mount: Mount


def read_mountinfo(proc: str) -> list[MountInfo]:
    """The mounts of this process, with whether the filesystem itself is read-only; empty if the system is not Linux.

    The filesystem's own options are the last column, see proc_pid_mountinfo(5). It turns read-only after an error of
    its disk. The options of the mount differ: a service with systemd's ProtectSystem sees all mounts read-only.
    """
    mounts = []
    for line in read_first(f"{proc}/self/mountinfo").decode(errors="surrogateescape").splitlines():
        mount_part, _, filesystem_part = line.partition(" - ")
        mount_columns, filesystem_columns = mount_part.split(" "), filesystem_part.split(" ")
        if len(mount_columns) > 4 and len(filesystem_columns) == 3:
            fstype, device, options = filesystem_columns
            mount = Mount(_unescaped(device), _unescaped(mount_columns[4]), fstype, "ro" in options.split(","))
            mounts.append(MountInfo(mount_columns[2], mount))
    return mounts


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def root_device_number() -> str:
    device = os.stat("/").st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def list_mounts(
    ps: Ps,
    *,
    proc: str = "/proc",
    sysfs: str = "/sys",
    root: str = "",
    platform: str = sys.platform,
    root_device: Callable[[], str] = root_device_number,
) -> list[Mount]:
    """One mount for each mount point, the root filesystem first. ``root``: where the host's root is mounted, if this is
    a container: then what is mounted there counts, under its name on the host, and nothing else."""
    infos = read_mountinfo(proc)
    if root:
        return _mounts_of_host(infos, root)
    read_only = {info.mount.mountpoint: info.mount.read_only for info in infos}
    try:
        # all=True, because the short list leaves out network filesystems
        partitions = ps.disk_partitions(all=True)
    except FileNotFoundError:  # a chroot without /proc
        partitions = []
    # A dict, because a later mount hides an earlier one at the same mount point.
    mounts = {
        partition.mountpoint: Mount(
            partition.device,
            partition.mountpoint,
            partition.fstype,
            read_only.get(partition.mountpoint, "ro" in partition.opts.split(",")),
        )
        for partition in partitions
        if partition.fstype  # an empty drive on Windows has none
    }
    if platform != "win32" and "/" not in mounts:
        mounts["/"] = _unlisted_root(infos, sysfs, root_device())
    return sorted(mounts.values(), key=lambda mount: mount.mountpoint != "/")


def _mounts_of_host(infos: list[MountInfo], root: str) -> list[Mount]:
    mounts = {}
    for _, mount in infos:
        if mount.mountpoint == root or mount.mountpoint.startswith(root + "/"):
            name = mount.mountpoint[len(root) :] or "/"
            mounts[name] = mount._replace(mountpoint=name)
    return sorted(mounts.values(), key=lambda mount: mount.mountpoint != "/")


def _unlisted_root(infos: list[MountInfo], sysfs: str, device_number: str) -> Mount:
    """The root filesystem as another mount of the same device shows it, or with what is known about its device."""
    for info in infos:
        if info.device_number == device_number:
            return info.mount._replace(mountpoint="/")
    device = "rootfs"
    for line in read_first(f"{sysfs}/dev/block/{device_number}/uevent").decode(errors="replace").splitlines():
        if line.startswith("DEVNAME="):
            device = "/dev/" + line.removeprefix("DEVNAME=")
    return Mount(device, "/", "unknown", bool(os.statvfs("/").f_flag & os.ST_RDONLY))
