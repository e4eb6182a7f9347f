"""Reads the capture at any position, forwards, then backwards, and so on without end.

A position is a number of seconds, with a fraction. Counters go on rising at each turn, and gauges do not jump. All
series are read at one position, so that CPU, load, disk and network belong together as they did on the machine.
Counters have whole numbers as steps, which doubles add up exactly: a counter never falls, not even by rounding.
"""

from functools import cache

import numpy as np

from bongsu.arrays import Values
from bongsu.simulator import capture

CPU_MODES = ("user", "nice", "system", "iowait", "irq", "softirq", "steal")
# One time unit of the counters of CPU and disk.
MICROSECOND = 1e-6
# Bursts on the network are at most so many times the mean, or some servers would exceed the speed of their link.
LARGEST_BURST = 8.0
_PERCENT_MICROSECONDS = 10_000.0
_MILLISECOND_MICROSECONDS = 1_000.0


class Replay:
    """``names``: column -> place. CPU modes: microseconds of an average core. ``activity``: several
    of them. ``disk_*_us``: microseconds of a device.
    ``memory``, ``cached``, ``buffers``, ``slab`` and ``tasks``: gauges from 0 to 1."""

    def __init__(self) -> None:
        cpu = _cpu_steps()
        activity = np.asarray(cpu["user"] + cpu["system"] + cpu["nice"])
        rates = {**cpu, "activity": activity, **_traffic_steps()}
        gauges = _gauges()
        self.names = {name: place for place, name in enumerate((*rates, *gauges))}
        forward = np.column_stack([*rates.values()])
        there_and_back = np.concatenate([forward, forward[::-1]])
        # (length, columns) sums of all steps before each second, then gauges
        sums = np.cumsum(there_and_back, axis=0) - there_and_back
        levels = np.column_stack([*gauges.values()])
        levels = np.concatenate([levels[:-1], levels[:0:-1]])
        level_steps = np.roll(levels, -1, axis=0) - levels
        self.length = len(there_and_back)
        self._starts = np.ascontiguousarray(np.concatenate([sums, levels], axis=1))
        self._steps = np.ascontiguousarray(np.concatenate([there_and_back, level_steps], axis=1))
        self._totals = np.concatenate([there_and_back.sum(axis=0), np.zeros(len(gauges))])
        # What a counter grows by in a second, on average.
        self.means = dict(zip(rates, there_and_back.mean(axis=0).tolist(), strict=True))
        # How much busier the first core was than the second, from -1 to 1.
        skew = (_busy_percent(0) - _busy_percent(1)) / 100
        self._skew = np.concatenate([skew[:-1], skew[:0:-1]])

    def at(self, positions: Values) -> Values:
        """``positions``: (n,) seconds, at least 0. Returns (n, columns)."""
        turns, places = np.divmod(positions, float(self.length))
        index = places.astype(np.intp)
        fraction = (places - index)[:, None]
        return np.asarray(turns[:, None] * self._totals + (self._starts[index] + fraction * self._steps[index]))

    def skew(self, positions: Values) -> Values:
        """From -1 to 1, of the same shape as ``positions``."""
        index = positions.astype(np.intp) % self.length
        return np.asarray(self._skew[index])


@cache
def replay() -> Replay:
    """Made once, and never changed."""
    return Replay()


def _busy_percent(core: int) -> Values:
    modes = [capture.column(f"cpu{core}.{mode}") for mode in CPU_MODES if mode != "iowait"]
    return np.asarray(np.clip(np.sum(modes, axis=0), 0.0, 100.0))


def _cpu_steps() -> dict[str, Values]:
    """(1500,) microseconds of an average core in each second; all modes together at most one second."""
    percent = {mode: (capture.column(f"cpu0.{mode}") + capture.column(f"cpu1.{mode}"))[1:] / 2 for mode in CPU_MODES}
    # psutil rounds each mode, so that their sum may be slightly more than 100.
    scale = _PERCENT_MICROSECONDS * 100 / np.maximum(100.0, np.sum([*percent.values()], axis=0))
    return {mode: np.floor(values * scale) for mode, values in percent.items()}


def _traffic_steps() -> dict[str, Values]:
    """(1500,) steps of the counters of disk, network and kernel."""

    def steps(name: str, scale: float = 1.0, longest: float = np.inf) -> Values:
        return np.asarray(np.rint(np.clip(np.diff(capture.column(name)), 0.0, longest) * scale))

    def traffic(name: str) -> Values:
        mean = float(np.diff(capture.column(name)).mean())
        return steps(name, longest=LARGEST_BURST * mean)

    return {
        "disk_busy_us": steps("io.vda.busy_time", _MILLISECOND_MICROSECONDS, longest=1_000.0),
        "disk_read_bytes": steps("io.vda.read_bytes"),
        "disk_write_bytes": steps("io.vda.write_bytes"),
        "disk_reads": steps("io.vda.read_count"),
        "disk_writes": steps("io.vda.write_count"),
        "disk_read_us": steps("io.vda.read_time", _MILLISECOND_MICROSECONDS),
        "disk_write_us": steps("io.vda.write_time", _MILLISECOND_MICROSECONDS),
        "received": traffic("net.eth0.bytes_recv"),
        # Outgoing traffic of this machine was a few acknowledgements; what it sent itself has the bursts of a server.
        "sent": traffic("net.lo.bytes_sent"),
        "context_switches": steps("ctx"),
        "interrupts": steps("int"),
    }


def _gauges() -> dict[str, Values]:
    """(1501,) levels."""

    def share(name: str) -> Values:
        values = capture.column(name)
        low, high = values.min(), values.max()
        return np.asarray((values - low) / (high - low))

    # per core
    loads = {f"load_{minutes}m": capture.column(f"l{minutes}") / 2 for minutes in (1, 5, 15)}
    return {
        **loads,
        "memory": share("mem.used"),
        "cached": share("mem.cached"),
        "buffers": share("mem.buffers"),
        "slab": share("mem.slab"),
        "tasks": share("procs"),
    }
