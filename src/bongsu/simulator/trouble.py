"""An incident on one simulated server: from when to when, and how far it has come at any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from bongsu.arrays import Values


class Kind(StrEnum):
    CPU_STORM = "cpu-storm"
    DISK_FULL = "disk-full"
    MEMORY_LEAK = "memory-leak"
    SERVER_DOWN = "server-down"
    PARTITION = "partition"
    CLOCK_SKEW = "clock-skew"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An incident on one server, from ``start_ms`` (Unix) to before ``end_ms``."""

    kind: Kind
    start_ms: int
    end_ms: int
    by_ms: int = 0

    def __contains__(self, time_ms: float) -> bool:
        return self.start_ms <= time_ms < self.end_ms

    def ramp(self, seconds: Values) -> Values:
        """``seconds``: Unix time. Rises from 0 to 1 in the first half, stays there, and is 0 after the end."""
        start, end = self.start_ms / 1000, self.end_ms / 1000
        risen = np.clip((seconds - start) / ((end - start) / 2), 0.0, 1.0)
        return np.asarray(np.where(seconds < end, risen, 0.0))

    def swell(self, seconds: Values, decay_seconds: float) -> Values:
        """From 0 towards 1 until the end, and back: the exponential average that a load is."""
        start, end = self.start_ms / 1000, self.end_ms / 1000
        risen = 1 - np.exp(-np.clip(seconds - start, 0.0, end - start) / decay_seconds)
        return np.asarray(risen * np.exp(-np.maximum(seconds - end, 0.0) / decay_seconds))


def shift_ms(troubles: Sequence[Trouble], time_ms: int) -> int:
    """How much the time stamps of a server are off. Like an agent, it adds 1 ms at each step back of its clock, so that
    no time stamp occurs twice."""
    shift = 0
    for trouble in troubles:
        if trouble.kind is Kind.CLOCK_SKEW:
            back_ms = trouble.start_ms if trouble.by_ms < 0 else trouble.end_ms
            shift += (trouble.by_ms if time_ms in trouble else 0) + (time_ms >= back_ms)
    return shift
