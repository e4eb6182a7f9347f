"""Filesystems, and traffic of the devices below them."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.machine import MountedVolume
from bongsu.simulator.moment import SMOOTH, Moment
from bongsu.simulator.readings.base import Readings, counter, gauge
from bongsu.simulator.replay import MICROSECOND
from bongsu.simulator.roles import MIB, ROOT
from bongsu.simulator.trouble import Kind

# ext4 keeps so much for root, which df counts neither as used nor as available.
_RESERVED = {"ext4": 0.05}
_BYTES_PER_INODE = 16_384
_BLOCK_BYTES = 4_096
# Share of a volume that comes and goes with the capture: temporary files.
_TEMPORARY = 0.004
# A root filesystem has a tenth of the traffic when the data is elsewhere.
_ROOT_SHARE = 0.1
# Operations are about this large: small ones on a busy server.
_BYTES_PER_READ, _BYTES_PER_WRITE = 24_576.0, 16_384.0
# What a device can read and write.
_LARGEST_BYTES_PER_SECOND = 60 * MIB
_SECONDS_PER_READ, _SECONDS_PER_WRITE = 0.0006, 0.0011
_FILESYSTEM_SERIES = (
    "filesystem_total_bytes",
    "filesystem_used_bytes",
    "filesystem_available_bytes",
    "filesystem_usage_ratio",
    "filesystem_inodes",
    "filesystem_inodes_used",
    "filesystem_inodes_usage_ratio",
    "filesystem_read_only",
)
_TRAFFIC_COUNTERS = (
    "disk_read_bytes_total",
    "disk_write_bytes_total",
    "disk_reads_total",
    "disk_writes_total",
    "disk_read_seconds_total",
    "disk_write_seconds_total",
    "disk_busy_seconds_total",
)
_TRAFFIC_GAUGES = ("disk_busy_ratio", "disk_await_seconds", "disk_queue_length")


def _filled(at: Moment) -> Values:
    """(n,) the share of the root filesystem's free space that an incident has used up: linear, until it is full."""
    return np.asarray(np.sum([trouble.ramp(at.unix[1:]) for trouble in at.troubles(Kind.DISK_FULL)], axis=0))


class DiskReadings(Readings):
    def series(self) -> list[Series]:
        series = []
        for mounted in self.machine.volumes:
            volume = mounted.volume
            labels = {"device": f"/dev/{mounted.device}", "fstype": volume.fstype, "mountpoint": volume.mountpoint}
            series += [gauge(name, **labels) for name in _FILESYSTEM_SERIES]
        for mounted in self.machine.volumes:
            series += [counter(name, device=mounted.device) for name in _TRAFFIC_COUNTERS]
            series += [gauge(name, device=mounted.device) for name in _TRAFFIC_GAUGES]
        return series

    def fill(self, out: Values, at: Moment) -> None:
        place = 0
        for mounted in self.machine.volumes:
            self._fill_filesystem(out[:, place : place + len(_FILESYSTEM_SERIES)], mounted, at)
            place += len(_FILESYSTEM_SERIES)
        others = len(self.machine.volumes) - 1
        for number in range(others + 1):
            share = 1.0 if not others else _ROOT_SHARE if not number else (1 - _ROOT_SHARE) / others
            self._fill_traffic(out[:, place : place + len(_TRAFFIC_COUNTERS) + len(_TRAFFIC_GAUGES)], share, at)
            if not number:
                out[:, place + 1] += self._written_to_fill(at)
            place += len(_TRAFFIC_COUNTERS) + len(_TRAFFIC_GAUGES)

    def _fill_filesystem(self, out: Values, mounted: MountedVolume, at: Moment) -> None:
        total = mounted.bytes
        # It fills up while the cycle lasts, at the pace of the load, and then somebody makes room.
        done = (at.work[1:] + mounted.cycle_start) % mounted.cycle_seconds / mounted.cycle_seconds
        used_share = mounted.fill + mounted.volume.growth * done + _TEMPORARY * at.level("tasks")
        used = np.floor(total * used_share / _BLOCK_BYTES) * _BLOCK_BYTES
        usable = total * (1 - _RESERVED.get(mounted.volume.fstype, 0.0))
        if mounted.volume.mountpoint == ROOT.mountpoint:
            used = np.floor((used + (usable - used) * _filled(at)) / _BLOCK_BYTES) * _BLOCK_BYTES
        available = usable - used
        inodes = float(total // _BYTES_PER_INODE)
        out[:, 0] = total
        out[:, 1] = used
        out[:, 2] = available
        out[:, 3] = used / (used + available)
        out[:, 4] = inodes
        out[:, 5] = np.floor(inodes * used_share * 0.2)
        out[:, 6] = out[:, 5] / inodes
        out[:, 7] = 0.0

    def _written_to_fill(self, at: Moment) -> Values:
        """(n,) bytes written until now by what fills the root filesystem in incidents."""
        root = self.machine.volumes[0]
        room = root.bytes * (1 - root.fill)
        written = [
            room * np.where(at.unix[1:] * 1000 < trouble.end_ms, trouble.ramp(at.unix[1:]), 1.0)
            for trouble in at.troubles(Kind.DISK_FULL)
        ]
        return np.asarray(np.floor(np.sum(written, axis=0)))

    def _fill_traffic(self, out: Values, share: float, at: Moment) -> None:
        role, strength = self.machine.role, self.machine.strength * share
        read, write = role.read * strength, role.write * strength
        reads = np.floor(at.flow("disk_reads", read / _BYTES_PER_READ))
        writes = np.floor(at.flow("disk_writes", write / _BYTES_PER_WRITE))
        read_seconds = at.flow("disk_read_us", read / _BYTES_PER_READ * _SECONDS_PER_READ)
        write_seconds = at.flow("disk_write_us", write / _BYTES_PER_WRITE * _SECONDS_PER_WRITE)
        # The steps of the capture are at most a second a second, so no device is busy for longer than that.
        smooth = SMOOTH * min(1.0, (read + write) / _LARGEST_BYTES_PER_SECOND) * at.work
        busy = (smooth + (1 - SMOOTH) * MICROSECOND * at.total("disk_busy_us")) / self.machine.curve.highest
        out[:, 0] = np.floor(at.flow("disk_read_bytes", read))[1:]
        out[:, 1] = np.floor(at.flow("disk_write_bytes", write))[1:]
        for place, values in enumerate((reads, writes, read_seconds, write_seconds, busy), start=2):
            out[:, place] = values[1:]
        operations = np.diff(reads) + np.diff(writes)
        waited = np.diff(read_seconds) + np.diff(write_seconds)
        out[:, 7] = np.clip(at.rate(busy), 0.0, 1.0)
        out[:, 8] = np.where(operations > 0, waited / np.maximum(operations, 1.0), np.nan)
        out[:, 9] = waited / at.interval
