"""Filesystems, and the devices below them."""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from bongsu.agent.collectors.base import NAN, Counter, Filter, Gauge, Labels, Options, Ps, Reading
from bongsu.agent.collectors.mounts import REMOTE, Prober, Usage, read_only_filesystems, usage_of

# Not storage, or a view of storage that is listed elsewhere (overlay is the host's filesystem seen by a container).
_PSEUDO = frozenset(
    (
        *(
            "autofs",
            "binfmt_misc",
            "bpf",
            "cgroup",
            "cgroup2",
            "configfs",
            "debugfs",
            "devfs",
            "devpts",
            "devtmpfs",
            "efivarfs",
        ),
        *(
            "fusectl",
            "hugetlbfs",
            "iso9660",
            "mqueue",
            "nsfs",
            "overlay",
            "proc",
            "procfs",
            "pstore",
            "ramfs",
            "rpc_pipefs",
        ),
        *(
            "securityfs",
            "selinuxfs",
            "squashfs",
            "erofs",
            "sysfs",
            "tmpfs",
            "tracefs",
            "udf",
            "cdfs",
            "aufs",
            "fuse.lxcfs",
            "fuse.gvfsd-fuse",
        ),
        *("fuse.portal", "fuse.snapfuse"),
    )
)
DEFAULT_MOUNTS = Filter(
    exclude=(
        *(
            "/dev/*",
            "/proc/*",
            "/sys/*",
            "/run/*",
            "/snap/*",
            "/var/lib/docker/*",
            "/var/lib/containers/*",
            "/var/lib/kubelet/*",
        ),
        *(
            *(
                f"/System/Volumes/{name}"
                for name in ("VM", "Preboot", "Update*", "xarts", "iSCPreboot", "Hardware", "Recovery")
            ),
            "/private/var/vm",
        ),
    )
)
DEFAULT_DEVICES = Filter(exclude=("loop*", "ram*", "zram*", "sr[0-9]*", "fd[0-9]*", "nbd*"))
# A partition's counters are in its disk's as well: sda1, vdb2, xvda1, mmcblk0p1, nvme0n1p2.
_PARTITION = re.compile(r"(?:[hsv]d[a-z]+|xvd[a-z]+)\d+$|(?:nvme\d+n\d+|mmcblk\d+)p\d+$|mmcblk\d+boot\d+$")


class DiskCollector:
    """Space and inodes per filesystem, traffic per device.

    Source: ``psutil.disk_partitions`` and ``statvfs`` (space as ``df`` prints it), ``psutil.disk_io_counters`` (Linux:
    ``/proc/diskstats``). Pseudo filesystems and further mounts of the same device (bind mounts) are left out; a whole
    disk is listed, its partitions are not. Filters ``mounts`` (by mount point) and ``devices``. A mount of another
    machine (NFS, CIFS, FUSE) is asked in a thread of its own: while it does not answer, it alone is missing.
    """

    name = "disk"
    metrics = (
        Gauge("filesystem_total_bytes", "Size of the filesystem."),
        Gauge("filesystem_used_bytes", "Bytes in use."),
        Gauge("filesystem_available_bytes", "Bytes that users may still write."),
        Gauge("filesystem_usage_ratio", "Used share of what users may use."),
        Gauge("filesystem_inodes", "Inodes that the filesystem can have."),
        Gauge("filesystem_inodes_used", "Inodes in use."),
        Gauge("filesystem_inodes_usage_ratio", "Used share of the inodes."),
        Gauge("filesystem_read_only", "1 when mounted read-only, 0 when writable."),
        Counter("disk_read_bytes_total", "Bytes read."),
        Counter("disk_write_bytes_total", "Bytes written."),
        Counter("disk_reads_total", "Read operations."),
        Counter("disk_writes_total", "Write operations."),
        Counter("disk_read_seconds_total", "Time that read operations took, added up."),
        Counter("disk_write_seconds_total", "Time that write operations took, added up."),
        Counter("disk_busy_seconds_total", "Time in which at least one operation was under way."),
        Gauge("disk_busy_ratio", "Share of the time in which at least one operation was under way."),
        Gauge("disk_await_seconds", "Time that an operation took on average, waiting included."),
        Gauge("disk_queue_length", "Operations under way or waiting, on average."),
    )

    def __init__(
        self,
        ps: Ps,
        options: Options | None = None,
        *,
        usage: Callable[[str], Usage] = usage_of,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        options = options or Options()
        self._ps = ps
        self._proc = options.proc
        self._mounts = options.filter("mounts", DEFAULT_MOUNTS)
        self._devices = options.filter("devices", DEFAULT_DEVICES)
        self._note = options.note
        self._usage = usage
        self._prober = Prober(usage)
        self._monotonic = monotonic
        self._device_labels: dict[str, Labels] = {}
        self._before: dict[str, Any] = {}
        self._before_at = 0.0

    def collect(self) -> Iterable[Reading]:
        yield from self._filesystems()
        yield from self._traffic()

    def _filesystems(self) -> Iterable[Reading]:
        seen: set[str] = set()
        read_only = read_only_filesystems(self._proc)
        # all: the short list leaves out network filesystems
        for mount in self._ps.disk_partitions(all=True):
            if not mount.fstype:  # an empty drive on Windows
                continue
            # in a container "/" is an overlay, and all that there is to see
            if (mount.fstype in _PSEUDO and mount.mountpoint != "/") or not self._mounts(mount.mountpoint):
                continue
            remote = mount.fstype in REMOTE or mount.fstype.startswith("fuse.")
            # The first mount of a device is its own, further ones are bind mounts or subvolumes of the same space.
            if mount.device in seen and mount.device not in ("none", ""):
                continue
            try:
                usage = self._prober.usage(mount.mountpoint) if remote else self._usage(mount.mountpoint)
            except OSError as error:  # no permission, an empty card reader, a dead server
                self._note(f"mount {mount.mountpoint}", f"{mount.mountpoint} cannot be read: {error.strerror or error}")
                continue
            if usage.total == 0:
                continue
            seen.add(mount.device)
            labels = (("device", mount.device), ("fstype", mount.fstype), ("mountpoint", mount.mountpoint))
            yield Reading("filesystem_total_bytes", usage.total, labels)
            yield Reading("filesystem_used_bytes", usage.used, labels)
            yield Reading("filesystem_available_bytes", usage.available, labels)
            # as df: root's reserve counts neither as used nor as available
            if usage.used + usage.available:
                yield Reading("filesystem_usage_ratio", usage.used / (usage.used + usage.available), labels)
            if usage.inodes:  # btrfs and FAT have no fixed number of them
                yield Reading("filesystem_inodes", usage.inodes, labels)
                yield Reading("filesystem_inodes_used", usage.inodes_used, labels)
                yield Reading("filesystem_inodes_usage_ratio", usage.inodes_used / usage.inodes, labels)
            locked = read_only.get(mount.mountpoint, "ro" in mount.opts.split(","))
            yield Reading("filesystem_read_only", 1.0 if locked else 0.0, labels)

    def _traffic(self) -> Iterable[Reading]:
        now = self._monotonic()
        passed, self._before_at = now - self._before_at, now
        # None: a container or a machine without disks. nowrap: see the network collector
        counters = self._ps.disk_io_counters(perdisk=True, nowrap=False) or {}
        before, self._before = self._before, {}
        for name, io in counters.items():
            if _PARTITION.match(name) or not self._devices(name):
                continue
            self._before[name] = io
            labels = self._device_labels.setdefault(name, (("device", name),))
            yield Reading("disk_read_bytes_total", io.read_bytes, labels)
            yield Reading("disk_write_bytes_total", io.write_bytes, labels)
            yield Reading("disk_reads_total", io.read_count, labels)
            yield Reading("disk_writes_total", io.write_count, labels)
            if hasattr(io, "read_time"):
                yield Reading("disk_read_seconds_total", io.read_time / 1000, labels)
                yield Reading("disk_write_seconds_total", io.write_time / 1000, labels)
            if hasattr(io, "busy_time"):
                yield Reading("disk_busy_seconds_total", io.busy_time / 1000, labels)
            yield from _derived(io, before.get(name), passed, labels)


def _derived(io: Any, before: Any, passed: float, labels: Labels) -> Iterable[Reading]:
    """The columns of iostat -x: await, aqu-sz and %util, over the time since the last reading; NaN where nothing can
    be said."""
    has_times = hasattr(io, "read_time")
    if before is None or passed <= 0 or not has_times:
        busy = wait = queue = NAN
    else:
        operations = io.read_count + io.write_count - before.read_count - before.write_count
        took = (io.read_time + io.write_time - before.read_time - before.write_time) / 1000
        wait = took / operations if operations > 0 and took >= 0 else NAN
        queue = took / passed if took >= 0 else NAN
        # the kernel counts in ticks, so a full interval may read as a little more than one
        busy = (
            min(1.0, max(0.0, (io.busy_time - before.busy_time) / 1000 / passed)) if hasattr(io, "busy_time") else NAN
        )
    if hasattr(io, "busy_time"):
        yield Reading("disk_busy_ratio", busy, labels)
    if has_times:
        yield Reading("disk_await_seconds", wait, labels)
        yield Reading("disk_queue_length", queue, labels)
