"""The list of readings: one file for each collector of the agent that simulated servers have. The order is that of the
series in a layout."""

from bongsu.simulator.readings.agent import AgentReadings
from bongsu.simulator.readings.base import Readings
from bongsu.simulator.readings.cpu import CpuReadings
from bongsu.simulator.readings.disk import DiskReadings
from bongsu.simulator.readings.memory import MemoryReadings
from bongsu.simulator.readings.network import NetworkReadings
from bongsu.simulator.readings.sockets import SocketReadings
from bongsu.simulator.readings.system import SystemReadings

READINGS: tuple[type[Readings], ...] = (
    CpuReadings,
    MemoryReadings,
    DiskReadings,
    NetworkReadings,
    SocketReadings,
    SystemReadings,
    AgentReadings,
)
