"""The collectors. A new one is one file and one line here."""

from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.network import NetworkCollector

COLLECTORS = (
    CpuCollector,
    MemoryCollector,
    DiskCollector,
    NetworkCollector,
)
