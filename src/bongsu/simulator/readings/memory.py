"""Memory and swap."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import Moment
from bongsu.simulator.readings.base import Readings, counter, gauge
from bongsu.simulator.roles import GIB
from bongsu.simulator.trouble import Kind

# What the load and the capture add to the memory that is always in use, as a share of all memory.
_BY_LOAD, _BY_CAPTURE = 0.05, 0.08
# Of the cache, the kernel can give back so much at once.
_RECLAIMABLE = 0.92
_PAGE_BYTES = 4_096
# Of all memory; the rest is what the kernel cannot give away.
_FULL = 0.985


def used_share(at: Moment) -> Values:
    """(n,) the share of the memory that is in use."""
    load = at.load / at.machine.curve.highest
    return at.machine.memory + _BY_LOAD * load + _BY_CAPTURE * at.level("memory")


def leaked_share(at: Moment) -> Values:
    """(n,) the share of the memory that a program has leaked: linear, until nearly all is used."""
    leaks = [trouble.ramp(at.unix[1:]) for trouble in at.troubles(Kind.MEMORY_LEAK)]
    return np.asarray((_FULL - used_share(at)) * np.sum(leaks, axis=0))


class MemoryReadings(Readings):
    def series(self) -> list[Series]:
        names = ("total", "available", "used", "free", "buffers", "cached", "shared", "slab")
        series = [gauge(f"memory_{name}_bytes") for name in names]
        series += [gauge("memory_usage_ratio"), gauge("memory_usable_bytes"), gauge("memory_left_bytes")]
        series.append(counter("memory_oom_kills_total"))
        if self.machine.role.swap_gib:
            series += [gauge(f"swap_{name}_bytes") for name in ("total", "used", "free")]
            series += [gauge("swap_usage_ratio"), counter("swap_in_bytes_total"), counter("swap_out_bytes_total")]
        return series

    def fill(self, out: Values, at: Moment) -> None:
        total = float(self.machine.facts.memory_total_bytes)
        used = total * (used_share(at) + leaked_share(at))
        rest = total - used
        buffers = rest * (0.01 + 0.03 * at.level("buffers"))
        cached = rest * (0.45 + 0.35 * at.level("cached"))
        free = rest - buffers - cached
        available = free + _RECLAIMABLE * (buffers + cached)
        slab = used * (0.04 + 0.03 * at.level("slab"))
        out[:, 0] = total
        for place, values in enumerate((available, used, free, buffers, cached, 0.02 * cached, slab), start=1):
            out[:, place] = np.floor(values / _PAGE_BYTES) * _PAGE_BYTES
        out[:, 8] = (total - out[:, 1]) / total
        out[:, 9] = out[:, 0]
        out[:, 10] = out[:, 1]
        # The kernel ends the program that leaks.
        out[:, 11] = sum(at.unix[1:] * 1000 >= leak.end_ms for leak in at.troubles(Kind.MEMORY_LEAK))
        if self.machine.role.swap_gib:
            swap = float(self.machine.role.swap_gib * GIB)
            swapped = np.floor(swap * (0.03 + 0.2 * at.level("memory")) / _PAGE_BYTES) * _PAGE_BYTES
            out[:, 12], out[:, 13], out[:, 14] = swap, swapped, swap - swapped
            out[:, 15] = swapped / swap
            pages = np.floor(at.flow("disk_reads", 0.4 * self.machine.strength))[1:]
            out[:, 16] = pages * _PAGE_BYTES
            out[:, 17] = 2 * pages * _PAGE_BYTES
