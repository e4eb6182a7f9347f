"""The readings that ``bongsu agent top`` shows, with their recent history."""

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from bongsu.agent.collectors.base import Collector, Reading
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.network import NetworkCollector
from bongsu.agent.collectors.process_sampler import ProcessSampler, SampledProcess
from bongsu.agent.collectors.system import SystemCollector
from bongsu.terminal.overview import Readings

_SHOWN = (CpuCollector, MemoryCollector, DiskCollector, NetworkCollector, SystemCollector)


@dataclass(slots=True)
class TopReadings(Readings):
    """The readings of this machine, and its processes."""

    hostname: str = ""
    processes: list[SampledProcess] = field(default_factory=list)


class TopReader:
    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = [collector for collector in collectors if isinstance(collector, _SHOWN)]
        self._sampler = ProcessSampler()
        self._previous_counters: dict[tuple[str, str], float] = {}
        self._previous_time = 0.0
        self._readings = TopReadings(hostname=socket.gethostname())

    def read(self) -> TopReadings:
        """Reads everything again. Always returns the same, updated object."""
        now = time.monotonic()
        elapsed, self._previous_time = now - self._previous_time, now
        readings = self._readings
        readings.values.clear()
        readings.labelled.clear()
        readings.rates.clear()
        for collector in self._collectors:
            for reading in collector.collect():
                self._add(reading, elapsed)
        readings.processes = self._sampler.sample()
        readings.remember()
        return readings

    def _add(self, reading: Reading, elapsed: float) -> None:
        if not reading.labels:
            self._readings.values[reading.metric] = reading.value
            return
        label = reading.labels[-1][1]
        self._readings.labelled.setdefault(reading.metric, {})[label] = reading.value
        if reading.metric.endswith("_bytes_total"):
            key = (reading.metric, label)
            previous = self._previous_counters.get(key, reading.value)
            self._previous_counters[key] = reading.value
            rate = max(0.0, reading.value - previous) / max(elapsed, 1e-9)
            self._readings.rates.setdefault(reading.metric, {})[label] = rate
