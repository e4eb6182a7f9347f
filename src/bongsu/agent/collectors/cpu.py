"""CPU: usage, time by mode, load, context switches, interrupts."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from bongsu.agent.collectors.base import Counter, Gauge, Labels, Options, Ps, Reading
from bongsu.agent.collectors.cgroups import cpu_limit

# Time that the CPU had nothing to do. Waiting for I/O is idle time with a reason.
_IDLE = ("idle", "iowait")
# The kernel counts a guest's time in user and nice as well; taken out again, so that the modes add up to the time that
# passed.
_COUNTED_TWICE = (("user", "guest"), ("nice", "guest_nice"))


class CpuCollector:
    """CPU time and what follows from it.

    Source: ``psutil.cpu_times()`` (Linux: ``/proc/stat``). Usage is the share of the time since the last reading that
    was not idle, so the first reading has none. Modes that a system does not have are left out.
    """

    name = "cpu"
    metrics = (
        Gauge("cpu_usage_ratio", "Share of all cores' time that was not idle."),
        Gauge("cpu_core_usage_ratio", "Share of one core's time that was not idle."),
        Counter("cpu_time_seconds_total", "Time that all cores spent in a mode."),
        Gauge("cpu_cores", "Logical cores."),
        Gauge("cpu_physical_cores", "Physical cores."),
        Gauge("load_1m", "Processes that ran or waited to, averaged over a minute."),
        Gauge("load_5m", "Processes that ran or waited to, averaged over five minutes."),
        Gauge("load_15m", "Processes that ran or waited to, averaged over a quarter of an hour."),
        Counter("context_switches_total", "Switches from one thread to another."),
        Counter("interrupts_total", "Hardware interrupts."),
        Gauge("cpu_limit_cores", "Cores' worth of time that this container may use, where that is limited."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        self._ps = ps
        self._sys = (options or Options()).sys
        self._before: list[tuple[float, float]] = []
        self._core_labels: list[Labels] = []
        self._mode_labels: dict[str, Labels] = {}
        # Parsing /proc/cpuinfo for it costs 1 ms and more on a large machine, and it does not change.
        self._physical = ps.cpu_count(logical=False)

    def collect(self) -> Iterable[Reading]:
        cores = self._ps.cpu_times(percpu=True)
        modes = _sum_of_modes(cores)
        busy_idle = [_busy_idle(times) for times in cores]
        if len(self._before) == len(busy_idle):
            yield from self._usage(busy_idle)
        self._before = busy_idle
        for mode, seconds in modes.items():
            labels = self._mode_labels.setdefault(mode, (("mode", mode),))
            yield Reading("cpu_time_seconds_total", seconds, labels)
        yield Reading("cpu_cores", len(cores))
        if self._physical:
            yield Reading("cpu_physical_cores", self._physical)
        if sys.platform != "win32":  # psutil only imitates a load average there
            one, five, fifteen = os.getloadavg()
            yield Reading("load_1m", one)
            yield Reading("load_5m", five)
            yield Reading("load_15m", fifteen)
        stats = self._ps.cpu_stats()
        yield Reading("context_switches_total", stats.ctx_switches)
        yield Reading("interrupts_total", stats.interrupts)
        limit = cpu_limit(self._sys)
        if limit is not None:
            yield Reading("cpu_limit_cores", limit)

    def _usage(self, now: list[tuple[float, float]]) -> Iterable[Reading]:
        while len(self._core_labels) < len(now):
            self._core_labels.append((("core", str(len(self._core_labels))),))
        all_busy = all_time = 0.0
        for (busy, idle), (busy_before, idle_before), labels in zip(now, self._before, self._core_labels, strict=False):
            # iowait may run backwards by a tick, see proc_stat(5)
            busy = max(0.0, busy - busy_before)
            time = busy + max(0.0, idle - idle_before)
            all_busy += busy
            all_time += time
            if time > 0:
                yield Reading("cpu_core_usage_ratio", busy / time, labels)
        if all_time > 0:
            yield Reading("cpu_usage_ratio", all_busy / all_time)


def _sum_of_modes(cores: Any) -> dict[str, float]:
    modes = {mode: sum(getattr(times, mode) for times in cores) for mode in cores[0]._fields}
    for mode, part in _COUNTED_TWICE:
        if mode in modes and part in modes:
            modes[mode] = max(0.0, modes[mode] - modes[part])
    return modes


def _busy_idle(times: Any) -> tuple[float, float]:
    idle = sum(getattr(times, mode, 0.0) for mode in _IDLE)
    twice = sum(getattr(times, part, 0.0) for _, part in _COUNTED_TWICE)
    return sum(times) - idle - twice, idle
