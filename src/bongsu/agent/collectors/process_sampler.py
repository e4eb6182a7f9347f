"""CPU and memory of every process, for the ``processes`` collector and ``bongsu agent top``.

On Linux each process costs one read of ``/proc/<pid>/stat`` (22 us), a tenth of what psutil's objects cost. Other
systems use psutil's process iterator.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bongsu.agent.procfs import PAGE_BYTES, TICKS_PER_SECOND, read_bytes


class SampledProcess(NamedTuple):
    """``cpu_ratio``: share of one core since the previous sample, or since the process started if that was later. It is
    0 in the first sample."""

    pid: int
    name: str
    state: str
    threads: int
    memory_bytes: int
    cpu_ratio: float
    started_ms: int = 0


class _RawProcess(NamedTuple):
    pid: int
    name: str
    state: str
    threads: int
    memory_bytes: int
    cpu_seconds: float
    started: float  # ticks since boot on Linux, Unix seconds elsewhere
    started_ms: int


def boot_time_seconds() -> float:
    """When the machine booted, in Unix time. Changes with the wall clock."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class ProcessSampler:
    """Compares each sample with the previous one. Identifies a process by PID and start time, since the kernel reuses
    PIDs."""

    def __init__(
        self,
        proc: str = "/proc",
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot_time: Callable[[], float] = boot_time_seconds,
    ) -> None:
        self._proc = proc
        self._monotonic = monotonic
        self._wall = wall
        self._boot_time = boot_time
        self._previous_cpu_seconds: dict[tuple[int, float], float] = {}
        self._previous_time = 0.0

    def sample(self) -> list[SampledProcess]:
        """All processes, in no particular order."""
        now = self._monotonic()
        elapsed, self._previous_time = now - self._previous_time, now
        previous, self._previous_cpu_seconds = self._previous_cpu_seconds, {}
        # start times are rounded to whole seconds
        earliest_new_start_ms = (self._wall() - elapsed - 1) * 1000
        processes = []
        for raw in self._linux_processes() if sys.platform == "linux" else _psutil_processes():
            key = (raw.pid, raw.started)
            self._previous_cpu_seconds[key] = raw.cpu_seconds
            earlier_seconds = previous.get(key)
            if earlier_seconds is None:
                # All CPU time of a process that started since the previous sample counts. For any other process it is
                # unknown how much of it is recent.
                is_new = bool(previous) and raw.started_ms >= earliest_new_start_ms
                earlier_seconds = 0.0 if is_new else raw.cpu_seconds
            ratio = max(0.0, raw.cpu_seconds - earlier_seconds) / elapsed if elapsed > 0 else 0.0
            processes.append(
                SampledProcess(raw.pid, raw.name, raw.state, raw.threads, raw.memory_bytes, ratio, raw.started_ms)
            )
        return processes

    def _linux_processes(self) -> Iterator[_RawProcess]:
        boot_time = self._boot_time()
        for entry in os.listdir(self._proc):
            if not entry.isdigit():
                continue
            try:
                stat = read_bytes(f"{self._proc}/{entry}/stat")
            except (FileNotFoundError, ProcessLookupError):  # it ended
                continue
            # The name is in brackets and may itself contain brackets. See proc_pid_stat(5) for the field numbers.
            head, _, tail = stat.rpartition(b")")
            fields = tail.split()
            yield _RawProcess(
                int(entry),
                head.partition(b"(")[2].decode(errors="replace"),
                fields[0].decode(),
                int(fields[17]),
                int(fields[21]) * PAGE_BYTES,
                (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND,
                float(fields[19]),
                # rounded to seconds, or a process would have another start time whenever the clock is adjusted
                round(boot_time + int(fields[19]) / TICKS_PER_SECOND) * 1000,
            )


def _psutil_processes() -> Iterator[_RawProcess]:
    import psutil

    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times = process.cpu_times()
                yield _RawProcess(
                    process.pid,
                    process.name(),
                    process.status()[:1].upper(),
                    process.num_threads(),
                    process.memory_info().rss,
                    times.user + times.system,
                    process.create_time(),
                    round(process.create_time()) * 1000,
                )
        except psutil.Error:  # it ended, or it belongs to another user
            continue
