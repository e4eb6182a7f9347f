"""Filesystems, and traffic of the block devices below them."""

import sys
import time
from collections.abc import Callable, Iterable

from bongsu.agent.collectors.base import Collector, Filter, Gauge, Labels, Options, Ps, Reading, words
from bongsu.agent.collectors.disk_traffic import DEFAULT_DEVICES, DiskTraffic
from bongsu.agent.collectors.disk_traffic import METRICS as TRAFFIC_METRICS
from bongsu.agent.collectors.filesystem_usage import FilesystemUsage, UsageProber, read_usage
from bongsu.agent.collectors.mounts import Mount, list_mounts, root_device_number

# Filesystems of another machine, or behind a program, which may not answer.
_REMOTE_TYPES = frozenset(
    words(
        """
        nfs nfs4 cifs smb2 smb3 smbfs afpfs afs 9p webdav virtiofs fuse fuseblk
        ceph glusterfs lustre beegfs orangefs pvfs2 ocfs2 gfs2 ncpfs
        """
    )
)
# No storage, or storage that is listed elsewhere: overlay shows a container the host's filesystem.
_PSEUDO_TYPES = frozenset(
    words(
        """
        autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue
        nsfs proc procfs pstore ramfs rpc_pipefs securityfs selinuxfs sysfs tmpfs tracefs
        overlay aufs iso9660 udf cdfs squashfs erofs fuse.snapfuse fuse.lxcfs fuse.portal fuse.gvfsd-fuse
        """
    )
)
DEFAULT_MOUNTS = Filter(
    exclude=words(
        """
        /dev/* /proc/* /sys/* /run/* /snap/* /var/lib/docker/* /var/lib/containers/* /var/lib/kubelet/*
        /System/Volumes/VM /System/Volumes/Preboot /System/Volumes/Update* /System/Volumes/xarts
        /System/Volumes/iSCPreboot /System/Volumes/Hardware /System/Volumes/Recovery /private/var/vm
        """
    )
)


class DiskCollector(Collector):
    """Space and inodes of each filesystem, traffic of each device.

    Source: ``psutil.disk_partitions`` and ``statvfs``, as ``df`` prints it. The root filesystem is always read, even if
    it is not a mount point. Pseudo filesystems and further mounts of a device (bind mounts) are left out. A network
    mount (NFS, CIFS, FUSE) is asked in a thread of its own; if it does not answer, only its own series have no value.
    In a container with the host's root mounted, the mounts are those of the host, under their names there.
    Filters: ``mounts`` by mount point, and ``devices``.
    """

    name = "disk"
    filters = ("mounts", "devices")
    metrics = (
        Gauge("filesystem_total_bytes", "Size of the filesystem."),
        Gauge("filesystem_used_bytes", "Bytes in use."),
        Gauge("filesystem_available_bytes", "Bytes available to users."),
        Gauge("filesystem_usage_ratio", "Used share of the space that users can use."),
        Gauge("filesystem_inodes", "Total inodes."),
        Gauge("filesystem_inodes_used", "Inodes in use."),
        Gauge("filesystem_inodes_usage_ratio", "Used share of the inodes."),
        Gauge("filesystem_read_only", "1 if mounted read-only, 0 if writable."),
        *TRAFFIC_METRICS,
    )

    def __init__(
        self,
        ps: Ps,
        options: Options | None = None,
        *,
        usage: Callable[[str], FilesystemUsage] = read_usage,
        prober: UsageProber | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        platform: str = sys.platform,
        root_device: Callable[[], str] = root_device_number,
    ) -> None:
        super().__init__(ps, options)
        self._is_selected = self._options.filter("mounts", DEFAULT_MOUNTS)
        self._usage = usage
        self._prober = prober or UsageProber(usage)
        self._platform = platform
        self._root_device = root_device
        self._traffic = DiskTraffic(ps, self._options.filter("devices", DEFAULT_DEVICES), monotonic)

    def collect(self) -> Iterable[Reading]:
        devices: set[str] = set()
        for mount in self._mounts():
            # The root of a container is an overlay, which is all that the container can see.
            if (mount.fstype in _PSEUDO_TYPES and mount.mountpoint != "/") or not self._is_selected(mount.mountpoint):
                continue
            # Further mounts of a device are bind mounts, or subvolumes that share its space.
            if mount.device in devices and mount.device not in ("none", ""):
                continue
            is_remote = mount.fstype in _REMOTE_TYPES or mount.fstype.startswith("fuse.")
            try:
                path = self._options.root + mount.mountpoint
                usage = self._prober.usage(path) if is_remote else self._usage(path)
            except OSError as error:  # no permission, an empty card reader, a dead server
                self._options.report_problem(
                    f"mount {mount.mountpoint}", f"{mount.mountpoint} cannot be read: {error.strerror or error}"
                )
                continue
            if usage.total:
                devices.add(mount.device)
                yield from _filesystem_readings(mount, usage)
        yield from self._traffic.collect()

    def _mounts(self) -> list[Mount]:
        return list_mounts(
            self._ps,
            proc=self._options.proc,
            sysfs=self._options.sys,
            root=self._options.root,
            platform=self._platform,
            root_device=self._root_device,
        )


def _filesystem_readings(mount: Mount, usage: FilesystemUsage) -> Iterable[Reading]:
    labels: Labels = (("device", mount.device), ("fstype", mount.fstype), ("mountpoint", mount.mountpoint))
    yield Reading("filesystem_total_bytes", usage.total, labels)
    yield Reading("filesystem_used_bytes", usage.used, labels)
    yield Reading("filesystem_available_bytes", usage.available, labels)
    # like df: the blocks reserved for root count neither as used nor as available
    if usage.used + usage.available:
        yield Reading("filesystem_usage_ratio", usage.used / (usage.used + usage.available), labels)
    if usage.inodes:  # btrfs and FAT have no fixed number
        yield Reading("filesystem_inodes", usage.inodes, labels)
        yield Reading("filesystem_inodes_used", usage.inodes_used, labels)
        yield Reading("filesystem_inodes_usage_ratio", usage.inodes_used / usage.inodes, labels)
    yield Reading("filesystem_read_only", 1.0 if mount.read_only else 0.0, labels)
