"""The agent itself: what it would cost on such a machine."""

import numpy as np

from bongsu import __version__
from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import Moment
from bongsu.simulator.readings.base import Readings, counter, gauge
from bongsu.simulator.trouble import Kind

# Measured of the real agent, see docs/benchmarks.md.
_CPU_RATIO, _MEMORY_BYTES = 0.0006, 24 * 1024.0**2
# A frame that waits, in memory or on disk.
_BYTES_PER_FRAME = 1_000.0
_GAUGES = ("agent_queue_frames", "agent_queue_bytes", "agent_queue_age_seconds")
_COUNTERS = ("agent_dropped_frames_total", "agent_rejected_frames_total", "agent_missed_ticks_total")


class AgentReadings(Readings):
    def series(self) -> list[Series]:
        tags = {f"tag_{name}": value for name, value in self.machine.tags.items()}
        return [
            gauge("agent_cpu_usage_ratio"),
            gauge("agent_memory_bytes"),
            gauge("agent_info", version=__version__, **tags),
            *map(gauge, _GAUGES),
            *map(counter, _COUNTERS),
        ]

    def fill(self, out: Values, at: Moment) -> None:
        out[:, 0] = _CPU_RATIO * at.load
        out[:, 1] = _MEMORY_BYTES
        out[:, 2] = 1.0
        out[:, 3:] = 0.0
        for partition in at.troubles(Kind.PARTITION):
            since_ms = np.where(at.unix[1:] * 1000 < partition.end_ms, at.unix[1:] * 1000 - partition.start_ms, 0.0)
            waiting = np.floor(np.maximum(since_ms, 0.0) / (at.interval * 1000))
            out[:, 3] += waiting
            out[:, 4] += waiting * _BYTES_PER_FRAME
            out[:, 5] += waiting * at.interval
