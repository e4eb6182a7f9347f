"""Traffic of block devices."""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from bongsu.agent.collectors.base import NAN, Counter, Filter, Gauge, Labels, Ps, Reading

METRICS = (
    Counter("disk_read_bytes_total", "Bytes read."),
    Counter("disk_write_bytes_total", "Bytes written."),
    Counter("disk_reads_total", "Read operations."),
    Counter("disk_writes_total", "Write operations."),
    Counter("disk_read_seconds_total", "Total time of all read operations."),
    Counter("disk_write_seconds_total", "Total time of all write operations."),
    Counter("disk_busy_seconds_total", "Time in which at least one operation was in progress."),
    Gauge("disk_busy_ratio", "Share of the time in which at least one operation was in progress."),
    Gauge("disk_await_seconds", "Average time of an operation, including time in the queue."),
    Gauge("disk_queue_length", "Average number of operations in progress or in the queue."),
)
DEFAULT_DEVICES = Filter(exclude=("loop*", "ram*", "zram*", "sr[0-9]*", "fd[0-9]*", "nbd*"))
# The counters of a disk include those of its partitions: sda1, vdb2, xvda1, mmcblk0p1, nvme0n1p2.
_PARTITION = re.compile(r"(?:[hsv]d[a-z]+|xvd[a-z]+)\d+$|(?:nvme\d+n\d+|mmcblk\d+)p\d+$|mmcblk\d+boot\d+$")


class DiskTraffic:
    """Reads ``psutil.disk_io_counters`` (Linux: ``/proc/diskstats``) and compares it with the previous reading."""

    def __init__(
        self, ps: Ps, is_selected: Callable[[str], bool], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ps = ps
        self._is_selected = is_selected
        self._monotonic = monotonic
        self._labels: dict[str, Labels] = {}
        self._previous: dict[str, Any] = {}
        self._previous_time = 0.0

    def collect(self) -> Iterable[Reading]:
        now = self._monotonic()
        elapsed, self._previous_time = now - self._previous_time, now
        # psutil returns None in a container or on a machine without disks. nowrap: see the network collector.
        counters = self._ps.disk_io_counters(perdisk=True, nowrap=False) or {}
        previous, self._previous = self._previous, {}
        for device, io in counters.items():
            if _PARTITION.match(device) or not self._is_selected(device):
                continue
            self._previous[device] = io
            labels = self._labels.setdefault(device, (("device", device),))
            yield Reading("disk_read_bytes_total", io.read_bytes, labels)
            yield Reading("disk_write_bytes_total", io.write_bytes, labels)
            yield Reading("disk_reads_total", io.read_count, labels)
            yield Reading("disk_writes_total", io.write_count, labels)
            if hasattr(io, "read_time"):
                yield Reading("disk_read_seconds_total", io.read_time / 1000, labels)
                yield Reading("disk_write_seconds_total", io.write_time / 1000, labels)
            if hasattr(io, "busy_time"):
                yield Reading("disk_busy_seconds_total", io.busy_time / 1000, labels)
            yield from _averages(io, previous.get(device), elapsed, labels)


def _averages(io: Any, previous: Any, elapsed: float, labels: Labels) -> Iterable[Reading]:
    """The columns %util, await and aqu-sz of ``iostat -x``, since the previous reading. NaN if one is undefined."""
    has_times = hasattr(io, "read_time")
    busy_ratio = await_seconds = queue_length = NAN
    if previous is not None and elapsed > 0 and has_times:
        operations = io.read_count + io.write_count - previous.read_count - previous.write_count
        seconds = (io.read_time + io.write_time - previous.read_time - previous.write_time) / 1000
        if seconds >= 0:  # negative after the counters were reset
            queue_length = seconds / elapsed
            if operations > 0:
                await_seconds = seconds / operations
        if hasattr(io, "busy_time"):
            # the kernel counts in ticks, so a full interval can read as slightly more than 1
            busy_ratio = min(1.0, max(0.0, (io.busy_time - previous.busy_time) / 1000 / elapsed))
    if hasattr(io, "busy_time"):
        yield Reading("disk_busy_ratio", busy_ratio, labels)
    if has_times:
        yield Reading("disk_await_seconds", await_seconds, labels)
        yield Reading("disk_queue_length", queue_length, labels)
