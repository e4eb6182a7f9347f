"""TCP connections by state and UDP sockets."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import Moment
from bongsu.simulator.readings.base import Readings, gauge

# Beside the established ones.
_STATES = (("established", 1.0), ("in_use", 1.08), ("orphan", 0.004), ("time_wait", 0.35), ("allocated", 1.2))
_BYTES_PER_SOCKET = 6_200


class SocketReadings(Readings):
    def series(self) -> list[Series]:
        series = [gauge("network_tcp_connections", state=state) for state, _ in _STATES]
        return [
            *series,
            *(gauge(f"network_{name}") for name in ("udp_sockets", "sockets_used", "tcp_memory_bytes")),
        ]

    def fill(self, out: Values, at: Moment) -> None:
        busy = at.load * (0.8 + 0.4 * at.level("tasks"))
        established = self.machine.role.connections * self.machine.strength * busy
        for place, (_, share) in enumerate(_STATES):
            out[:, place] = np.floor(established * share)
        out[:, 5] = 6.0
        out[:, 6] = out[:, 4] + 120.0
        out[:, 7] = out[:, 4] * _BYTES_PER_SOCKET
