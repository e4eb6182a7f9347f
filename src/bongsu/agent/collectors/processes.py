"""Which processes take CPU and memory.

Not a collector of series: a process list has no steady layout. ``bongsu agent top`` shows it. On Linux each process
costs one read of ``/proc/<pid>/stat`` (22 us here), a tenth of what psutil's objects cost; elsewhere psutil's process
iterator is used.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bongsu.agent.collectors.base import read_bytes

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Process(NamedTuple):
    """``cpu_ratio``: share of one core since the last look; 0 for one that was not there then."""

    pid: int
    name: str
    state: str
    threads: int
    memory_bytes: int
    cpu_ratio: float


class _Raw(NamedTuple):
    pid: int
    name: str
    state: str
    threads: int
    memory_bytes: int
    cpu_seconds: float
    started: float


class ProcessSampler:
    """Compares two looks. A process is known by its number and start, since numbers are used again."""

    def __init__(self, proc: str = "/proc", *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._monotonic = monotonic
        self._before: dict[tuple[int, float], float] = {}
        self._before_at = 0.0

    def look(self) -> list[Process]:
        """All processes, in no order."""
        now = self._monotonic()
        passed, self._before_at = now - self._before_at, now
        before, self._before = self._before, {}
        found = []
        for raw in self._linux() if sys.platform == "linux" else _portable():
            key = (raw.pid, raw.started)
            self._before[key] = raw.cpu_seconds
            spent = raw.cpu_seconds - before.get(key, raw.cpu_seconds)
            ratio = spent / passed if passed > 0 else 0.0
            found.append(Process(raw.pid, raw.name, raw.state, raw.threads, raw.memory_bytes, max(0.0, ratio)))
        return found

    def _linux(self) -> Iterator[_Raw]:
        for entry in os.listdir(self._proc):
            if not entry.isdigit():
                continue
            try:
                stat = read_bytes(f"{self._proc}/{entry}/stat")
            except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                continue
            # the name stands in brackets and may hold anything, brackets too; see proc_pid_stat(5) for the numbers
            head, _, tail = stat.rpartition(b")")
            fields = tail.split()
            yield _Raw(
                int(entry),
                head.partition(b"(")[2].decode(errors="replace"),
                fields[0].decode(),
                int(fields[17]),
                int(fields[21]) * _PAGE,
                (int(fields[11]) + int(fields[12])) / _TICKS,
                float(fields[19]),
            )


def _portable() -> Iterator[_Raw]:
    import psutil

    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times = process.cpu_times()
                yield _Raw(
                    process.pid,
                    process.name(),
                    process.status()[:1].upper(),
                    process.num_threads(),
                    process.memory_info().rss,
                    times.user + times.system,
                    process.create_time(),
                )
        except psutil.Error:  # ended meanwhile, or somebody else's
            continue
