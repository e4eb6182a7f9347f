"""CPU usage, time by mode, load, context switches and interrupts."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import SMOOTH, Moment, moment
from bongsu.simulator.readings.base import Readings, counter, gauge
from bongsu.simulator.replay import CPU_MODES, MICROSECOND
from bongsu.simulator.trouble import Kind

# Waiting for I/O is idle time too.
_BUSY_MODES = tuple(mode for mode in CPU_MODES if mode != "iowait")
# Cores are read this far apart in the capture, in seconds: their differences have no pattern.
_CORE_DISTANCE = 41.0
# Name -> seconds of its exponential average.
_LOADS = {"load_1m": 60.0, "load_5m": 300.0, "load_15m": 900.0}


# A runaway program takes so much of the time that is left.
STORM_SHARE = 0.96
# More tasks want to run than there are cores.
STORM_TASKS_PER_CORE = 1.6


def busy_share(at: Moment) -> float:
    """How much of a core's time counts at a load of 1 when the capture is at its busiest."""
    return at.machine.busiest / at.machine.curve.highest


def seconds_by_mode(at: Moment) -> dict[str, Values]:
    """(n + 1,) seconds of an average core since the start, without idle. Together they never rise faster than time."""
    share = busy_share(at)
    seconds = {mode: (1 - SMOOTH) * share * MICROSECOND * at.total(mode) for mode in CPU_MODES}
    seconds["user"] = seconds["user"] + SMOOTH * share * at.work
    return seconds


def _idle_seconds(at: Moment) -> Values:
    """(n + 1,) seconds of an average core since the start in which it neither works nor waits for a device."""
    return np.asarray(at.seconds - np.sum([*seconds_by_mode(at).values()], axis=0))


def storm_seconds(at: Moment) -> Values:
    """(n + 1,) seconds of an average core that a runaway program has taken from idle time."""
    taken = np.zeros(len(at.seconds))
    for storm in at.troubles(Kind.CPU_STORM):
        first, last = (_idle_seconds(moment(at.machine, ms, 1, 1_000))[-1] for ms in (storm.start_ms, storm.end_ms))
        taken += STORM_SHARE * (np.clip(_idle_seconds(at), first, last) - first)
    return taken


def storm_tasks(at: Moment, decay_seconds: float) -> Values:
    """(n,) tasks of runaway programs that run or want to, as a load counts them."""
    swells = [storm.swell(at.unix[1:], decay_seconds) for storm in at.troubles(Kind.CPU_STORM)]
    return np.asarray(at.machine.cores * STORM_TASKS_PER_CORE * np.sum(swells, axis=0))


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
        usage_before = np.clip(at.rate(np.sum([seconds[mode] for mode in _BUSY_MODES], axis=0)), 0.0, 1.0)
        seconds["user"] = seconds["user"] + storm_seconds(at)
        busy = np.sum([seconds[mode] for mode in _BUSY_MODES], axis=0)
        usage = np.clip(at.rate(busy), 0.0, 1.0)
        out[:, 0] = usage
        out[:, 1] = np.clip(usage - at.rate(seconds["nice"]), 0.0, 1.0)
        out[:, 2] = cores
        out[:, 3] = max(1, cores // 2)
        share = busy_share(at)
        for place, (name, decay_seconds) in enumerate(_LOADS.items(), start=4):
            load = cores * share * at.load * (SMOOTH + (1 - SMOOTH) * at.level(name))
            out[:, place] = load + storm_tasks(at, decay_seconds)
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
        each = usage_before[:, None] + spread * (usage_before * (1 - usage_before))[:, None]
        # A runaway program takes the same share of what each core has left.
        out[:, idle + 1 :] = each + (1 - each) * ((usage - usage_before) / (1 - usage_before))[:, None]
