"""CPU usage, time by mode, load, context switches and interrupts."""

import os
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Labels, Options, Ps, Reading
from bongsu.agent.collectors.cgroups import cpu_limit

# Waiting for I/O is idle time too.
_IDLE = ("idle", "iowait")
# The kernel counts a guest's time in user and nice as well. Subtract it there, so that the modes add up to the elapsed
# time.
_COUNTED_TWICE = (("user", "guest"), ("nice", "guest_nice"))
# The time of a mode can fall by a few ticks: iowait by itself (proc_stat(5)), and user without guest because the kernel
# adds to one of them before the other. A counter must not fall, so it keeps its highest value. A larger fall is a new
# start.
_LARGEST_FALL_SECONDS = 60.0


class _CoreTime(NamedTuple):
    """Seconds of one core. ``nice``: the part of ``busy`` that processes of low priority used."""

    busy: float
    idle: float
    nice: float


class CpuCollector(Collector):
    """CPU time and usage.

    Source: ``psutil.cpu_times()`` (Linux: ``/proc/stat``). Usage is the non-idle share of the time since the last
    reading, so the first reading has none. Modes that the system does not have are left out.
    """

    name = "cpu"
    metrics = (
        Gauge("cpu_usage_ratio", "Share of all cores' time that was not idle."),
        Gauge("cpu_usage_without_nice_ratio", "As cpu_usage_ratio, without processes of low priority (nice)."),
        Gauge("cpu_core_usage_ratio", "Share of one core's time that was not idle."),
        Counter("cpu_time_seconds_total", "Time that all cores spent in this mode."),
        Gauge("cpu_cores", "Logical cores."),
        Gauge("cpu_physical_cores", "Physical cores."),
        Gauge("load_1m", "Processes running or waiting to run, averaged over 1 minute."),
        Gauge("load_5m", "Processes running or waiting to run, averaged over 5 minutes."),
        Gauge("load_15m", "Processes running or waiting to run, averaged over 15 minutes."),
        Counter("context_switches_total", "Context switches between threads."),
        Counter("interrupts_total", "Hardware interrupts."),
        Gauge("cpu_limit_cores", "CPU limit of this container, in cores."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        super().__init__(ps, options)
        self._before: list[_CoreTime] = []
        self._highest: dict[str, float] = {}
        self._core_labels: list[Labels] = []
        self._mode_labels: dict[str, Labels] = {}
        # Parsing /proc/cpuinfo for this takes 1 ms or more on a large machine, and the number does not change.
        self._physical_cores = ps.cpu_count(logical=False)

    def collect(self) -> Iterable[Reading]:
        cores = self._ps.cpu_times(percpu=True)
        seconds_by_mode = _seconds_by_mode(cores)
        core_times = [_core_time(times) for times in cores]
        if len(self._before) == len(core_times):
            yield from self._usage(core_times)
        self._before = core_times
        for mode, seconds in seconds_by_mode.items():
            labels = self._mode_labels.setdefault(mode, (("mode", mode),))
            yield Reading("cpu_time_seconds_total", self._rising(mode, seconds), labels)
        yield Reading("cpu_cores", len(cores))
        if self._physical_cores:
            yield Reading("cpu_physical_cores", self._physical_cores)
        if sys.platform != "win32":  # there, psutil only simulates a load average
            load_1m, load_5m, load_15m = os.getloadavg()
            yield Reading("load_1m", load_1m)
            yield Reading("load_5m", load_5m)
            yield Reading("load_15m", load_15m)
        stats = self._ps.cpu_stats()
        yield Reading("context_switches_total", stats.ctx_switches)
        yield Reading("interrupts_total", stats.interrupts)
        limit = cpu_limit(self._options.sys)
        if limit is not None:
            yield Reading("cpu_limit_cores", limit)

    def _rising(self, mode: str, seconds: float) -> float:
        highest = self._highest.get(mode, 0.0)
        if seconds < highest - _LARGEST_FALL_SECONDS:
            highest = 0.0
        self._highest[mode] = max(seconds, highest)
        return self._highest[mode]

    def _usage(self, now: list[_CoreTime]) -> Iterable[Reading]:
        while len(self._core_labels) < len(now):
            self._core_labels.append((("core", str(len(self._core_labels))),))
        all_busy = all_nice = all_time = 0.0
        for core, before, labels in zip(now, self._before, self._core_labels, strict=False):
            # iowait can go backwards by a tick, see proc_stat(5)
            busy = max(0.0, core.busy - before.busy)
            time = busy + max(0.0, core.idle - before.idle)
            all_busy += busy
            all_nice += min(busy, max(0.0, core.nice - before.nice))
            all_time += time
            if time > 0:
                yield Reading("cpu_core_usage_ratio", busy / time, labels)
        if all_time > 0:
            yield Reading("cpu_usage_ratio", all_busy / all_time)
            yield Reading("cpu_usage_without_nice_ratio", (all_busy - all_nice) / all_time)


def _seconds_by_mode(cores: Any) -> dict[str, float]:
    modes = {mode: sum(getattr(times, mode) for times in cores) for mode in cores[0]._fields}
    for mode, part in _COUNTED_TWICE:
        if mode in modes and part in modes:
            modes[mode] = max(0.0, modes[mode] - modes[part])
    return modes


def _core_time(times: Any) -> _CoreTime:
    idle = sum(getattr(times, mode, 0.0) for mode in _IDLE)
    guest = sum(getattr(times, part, 0.0) for _, part in _COUNTED_TWICE)
    return _CoreTime(sum(times) - idle - guest, idle, getattr(times, "nice", 0.0))
