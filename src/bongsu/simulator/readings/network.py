"""Network interfaces."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import Moment
from bongsu.simulator.readings.base import Readings, counter, gauge

_BYTES_PER_PACKET = 780.0
# One packet in so many is dropped when it arrives, as on any busy host.
_PACKETS_PER_DROP = 4e6
_COUNTERS = (
    "network_receive_bytes_total",
    "network_transmit_bytes_total",
    "network_receive_packets_total",
    "network_transmit_packets_total",
    "network_receive_errors_total",
    "network_transmit_errors_total",
    "network_receive_drops_total",
    "network_transmit_drops_total",
)


class NetworkReadings(Readings):
    def series(self) -> list[Series]:
        interface = self.machine.system.interface
        series = [counter(name, interface=interface) for name in _COUNTERS]
        return [*series, gauge("network_up", interface=interface), gauge("network_speed_bits", interface=interface)]

    def fill(self, out: Values, at: Moment) -> None:
        role, strength = self.machine.role, self.machine.strength
        received = np.floor(at.flow("received", role.receive * strength))[1:]
        sent = np.floor(at.flow("sent", role.send * strength))[1:]
        out[:, 0], out[:, 1] = received, sent
        out[:, 2], out[:, 3] = np.floor(received / _BYTES_PER_PACKET), np.floor(sent / _BYTES_PER_PACKET)
        out[:, 4:6] = 0.0
        out[:, 6] = np.floor(received / _BYTES_PER_PACKET / _PACKETS_PER_DROP)
        out[:, 7] = 0.0
        out[:, 8] = 1.0
        out[:, 9] = self.machine.link_bits
