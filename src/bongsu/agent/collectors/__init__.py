"""The list of collectors. A new collector is one file and one line here."""

from bongsu.agent.collectors.agent import AgentCollector
from bongsu.agent.collectors.base import Collector
from bongsu.agent.collectors.containers.collector import ContainersCollector
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.custom import CustomCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.gpu import GpuCollector
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.network import NetworkCollector
from bongsu.agent.collectors.processes import ProcessesCollector
from bongsu.agent.collectors.sensors import SensorsCollector
from bongsu.agent.collectors.services import ServicesCollector
from bongsu.agent.collectors.sockets import SocketsCollector
from bongsu.agent.collectors.system import SystemCollector
from bongsu.agent.collectors.systemd import SystemdCollector

# The order of the collectors is the order of the series in a layout.
COLLECTORS: tuple[type[Collector], ...] = (
    CpuCollector,
    MemoryCollector,
    DiskCollector,
    NetworkCollector,
    SocketsCollector,
    SystemCollector,
    ProcessesCollector,
    SensorsCollector,
    SystemdCollector,
    ServicesCollector,
    GpuCollector,
    ContainersCollector,
    CustomCollector,
    AgentCollector,
)
COLLECTORS_BY_NAME = {collector.name: collector for collector in COLLECTORS}
