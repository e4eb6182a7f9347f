"""CPU usage, time by mode, load, context switches and interrupts."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import SMOOTH, Moment
from bongsu.simulator.readings.base import Readings, counter, gauge
from bongsu.simulator.replay import CPU_MODES, MICROSECOND

# Waiting for I/O is idle time too.
_BUSY_MODES = tuple(mode for mode in CPU_MODES if mode != "iowait")
# Cores are read this far apart in the capture, in seconds: their differences have no pattern.
_CORE_DISTANCE = 41.0
_LOADS = ("load_1m", "load_5m", "load_15m")


def busy_share(at: Moment) -> float:
    """How much of a core's time counts at a load of 1 when the capture is at its busiest."""
    return at.machine.busiest / at.machine.curve.highest


def seconds_by_mode(at: Moment) -> dict[str, Values]:
    """(n + 1,) seconds of an average core since the start, without idle. Together they never rise faster than time."""
    share = busy_share(at)
    seconds = {mode: (1 - SMOOTH) * share * MICROSECOND * at.total(mode) for mode in CPU_MODES}
    seconds["user"] = seconds["user"] + SMOOTH * share * at.work
    return seconds


class CpuReadings(Readings):
    def series(self) -> list[Series]:
        return [
            gauge("cpu_usage_ratio"),
            gauge("cpu_usage_without_nice_ratio"),
            *(gauge(name) for name in ("cpu_cores", "cpu_physical_cores")),
            *map(gauge, _LOADS),
            counter("context_switches_total"),
            counter("interrupts_total"),
            *(counter("cpu_time_seconds_total", mode=mode) for mode in (*CPU_MODES, "idle")),
            *(gauge("cpu_core_usage_ratio", core=str(core)) for core in range(self.machine.cores)),
        ]

    def fill(self, out: Values, at: Moment) -> None:
        cores = self.machine.cores
        seconds = seconds_by_mode(at)
        busy = np.sum([seconds[mode] for mode in _BUSY_MODES], axis=0)
        usage = np.clip(at.rate(busy), 0.0, 1.0)
        out[:, 0] = usage
        out[:, 1] = np.clip(usage - at.rate(seconds["nice"]), 0.0, 1.0)
        out[:, 2] = cores
        out[:, 3] = max(1, cores // 2)
        share = busy_share(at)
        for place, name in enumerate(_LOADS, start=4):
            out[:, place] = cores * share * at.load * (SMOOTH + (1 - SMOOTH) * at.level(name))
        out[:, 7] = np.floor(at.flow("context_switches", 1_900.0 * cores * self.machine.strength))[1:]
        out[:, 8] = np.floor(at.flow("interrupts", 700.0 * cores * self.machine.strength))[1:]
        for place, mode in enumerate(CPU_MODES, start=9):
            out[:, place] = (cores * seconds[mode])[1:]
        idle = 9 + len(CPU_MODES)
        out[:, idle] = cores * (at.seconds - busy - seconds["iowait"])[1:]
        # Their mean is the usage of all, and none leaves 0 to 1: the skew is from -1 to 1, so half of its distance from
        # the mean is too.
        skew = at.source.skew(at.position[:, None] + np.arange(cores) * _CORE_DISTANCE)
        spread = (skew - skew.mean(axis=1, keepdims=True)) / 2
        out[:, idle + 1 :] = usage[:, None] + spread * (usage * (1 - usage))[:, None]
