"""Which processes take CPU and memory.

A collector without series, since processes come and go and each would make a new layout: it leaves a list that is sent
and stored beside the frames. ``bongsu agent top`` looks with the same sampler. On Linux each process costs one read of
``/proc/<pid>/stat`` (22 us here), a tenth of what psutil's objects cost; elsewhere psutil's process iterator is used.
Names only, no arguments: those may hold secrets.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, NamedTuple

from bongsu.agent.collectors.base import Filter, Metric, Options, Ps, Reading, read_bytes
from bongsu.core import samples

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# By CPU and by memory each.
DEFAULT_TOP = 10
# The API server takes 256 bytes, and a character has up to four.
LONGEST_NAME = 64
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Process(NamedTuple):
    """``cpu_ratio``: share of one core since the last look, or since the start if that came later; 0 at the first
    look."""

    pid: int
    name: str
    state: str
    threads: int
    memory_bytes: int
    cpu_ratio: float
    started_ms: int = 0


class _Raw(NamedTuple):
    pid: int
    name: str
    state: str
    threads: int
    memory_bytes: int
    cpu_seconds: float
    started: float  # ticks since boot on Linux, Unix seconds elsewhere
    started_ms: int


def boot_seconds() -> float:
    """When the machine was started, Unix time; moves as the clock is set."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class ProcessSampler:
    """Compares two looks. A process is known by its number and start, since numbers are used again."""

    def __init__(
        self,
        proc: str = "/proc",
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = boot_seconds,
    ) -> None:
        self._proc = proc
        self._monotonic = monotonic
        self._wall = wall
        self._boot = boot
        self._before: dict[tuple[int, float], float] = {}
        self._before_at = 0.0

    def look(self) -> list[Process]:
        """All processes, in no order."""
        now = self._monotonic()
        passed, self._before_at = now - self._before_at, now
        before, self._before = self._before, {}
        # start times are whole seconds
        young_ms = (self._wall() - passed - 1) * 1000
        found = []
        for raw in self._linux() if sys.platform == "linux" else _portable():
            key = (raw.pid, raw.started)
            self._before[key] = raw.cpu_seconds
            earlier = before.get(key)
            if earlier is None:  # of what started since then, all of its time; of others it is not known how much
                earlier = 0.0 if before and raw.started_ms >= young_ms else raw.cpu_seconds
            ratio = max(0.0, raw.cpu_seconds - earlier) / passed if passed > 0 else 0.0
            found.append(Process(raw.pid, raw.name, raw.state, raw.threads, raw.memory_bytes, ratio, raw.started_ms))
        return found

    def _linux(self) -> Iterator[_Raw]:
        boot = self._boot()
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
                # to the second, or a process would have another start in every list as the clock is adjusted
                round(boot + int(fields[19]) / _TICKS) * 1000,
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
                    round(process.create_time()) * 1000,
                )
        except psutil.Error:  # ended meanwhile, or somebody else's
            continue


class ProcessesCollector:
    """The processes that took most CPU since the last look, and those that hold most memory.

    Filter ``names``; ``top``: how many of each.
    """

    name = "processes"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    interval_seconds = 60

    def __init__(self, ps: Ps, options: Options) -> None:
        self._proc = options.proc
        self._sampler = ProcessSampler(options.proc)
        self._wanted = options.filter("names", Filter())
        self._top: int = options.values.get("top", DEFAULT_TOP)
        self._names: dict[int, str] = {}
        self.processes: list[samples.Process] = []

    def collect(self) -> Iterable[Reading]:
        found = [one for one in self._sampler.look() if self._wanted(one.name)]
        busy = sorted((one for one in found if one.cpu_ratio > 0), key=lambda one: -one.cpu_ratio)
        large = sorted((one for one in found if one.memory_bytes > 0), key=lambda one: -one.memory_bytes)
        chosen = {one.pid: one for one in busy[: self._top] + large[: self._top]}
        self.processes = [
            samples.Process(
                one.pid,
                _text(one.name),
                _text(self._user(one.pid)),
                round(one.cpu_ratio, 4),
                one.memory_bytes,
                one.threads,
                one.started_ms,
            )
            for one in sorted(chosen.values(), key=lambda one: (-one.cpu_ratio, -one.memory_bytes))
        ]
        return ()

    def _user(self, pid: int) -> str:
        if sys.platform != "linux":
            import psutil

            try:
                return psutil.Process(pid).username()
            except (psutil.Error, KeyError):  # ended meanwhile, somebody else's, or a user without a name
                return ""
        try:
            number = os.stat(f"{self._proc}/{pid}").st_uid
        except OSError:  # ended meanwhile
            return ""
        if number not in self._names:
            import pwd

            try:
                self._names[number] = pwd.getpwuid(number).pw_name
            except KeyError:  # in a container, or deleted
                self._names[number] = str(number)
        return self._names[number]


def _text(text: str) -> str:
    """As the wire takes it: file names that are not UTF-8 come with lone surrogates."""
    return text.encode(errors="replace").decode()[:LONGEST_NAME]
