"""Network interfaces."""

import sys
from collections.abc import Iterable
from typing import Any

from bongsu.agent.collectors.base import Collector, Counter, Filter, Gauge, Labels, Options, Ps, Reading, words
from bongsu.agent.collectors.host_network import read_states, read_traffic

# Loopback, tunnels, the host's ends of virtual pairs, and bridges, whose traffic their members count already.
DEFAULT_INTERFACES = Filter(
    exclude=words(
        """
        lo lo0 Loopback*
        veth* docker* br-* virbr* vnet* cni* cali* flannel* lxc* podman* kube-* nodelocaldns
        ifb* dummy* sit* ip6tnl* tunl* gre* erspan* isatap* Teredo* gif* stf*
        awdl* llw* anpi* ap[0-9]* bridge[0-9]*
        """
    )
)
# Drivers report 65535 Mbit/s (2^16 - 1) if they do not know the speed.
_UNKNOWN_SPEED = 65_535


class NetworkCollector(Collector):
    """Traffic per interface.

    Source: ``psutil.net_io_counters`` (Linux: ``/proc/net/dev``) and ``psutil.net_if_stats`` for state and speed.
    In a container those of the host, if its root is mounted. Filter: ``interfaces``.
    """

    name = "network"
    filters = ("interfaces",)
    metrics = (
        Counter("network_receive_bytes_total", "Bytes received."),
        Counter("network_transmit_bytes_total", "Bytes sent."),
        Counter("network_receive_packets_total", "Packets received."),
        Counter("network_transmit_packets_total", "Packets sent."),
        Counter("network_receive_errors_total", "Packets received with errors."),
        Counter("network_transmit_errors_total", "Packets that could not be sent because of errors."),
        Counter("network_receive_drops_total", "Received packets that were dropped."),
        Counter("network_transmit_drops_total", "Outgoing packets that were dropped."),
        Gauge("network_up", "1 if the interface is up, 0 if it is down."),
        Gauge("network_speed_bits", "Speed of the link in bits per second."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        super().__init__(ps, options)
        self._is_selected = self._options.filter("interfaces", DEFAULT_INTERFACES)
        self._labels: dict[str, Labels] = {}

    def collect(self) -> Iterable[Reading]:
        counters = self._counters()
        names = [name for name in counters if self._is_selected(name)]
        for name in names:
            io = counters[name]
            labels = self._labels.setdefault(name, (("interface", name),))
            yield Reading("network_receive_bytes_total", io.bytes_recv, labels)
            yield Reading("network_transmit_bytes_total", io.bytes_sent, labels)
            yield Reading("network_receive_packets_total", io.packets_recv, labels)
            yield Reading("network_transmit_packets_total", io.packets_sent, labels)
            yield Reading("network_receive_errors_total", io.errin, labels)
            yield Reading("network_transmit_errors_total", io.errout, labels)
            yield Reading("network_receive_drops_total", io.dropin, labels)
            if sys.platform != "darwin":  # macOS has no such counter; psutil returns 0
                yield Reading("network_transmit_drops_total", io.dropout, labels)
        stats = read_states(self._options.sys) if self._options.root else self._ps.net_if_stats()
        for name in names:
            state = stats.get(name)
            if state is None:  # it disappeared between the two calls
                continue
            labels = self._labels[name]
            yield Reading("network_up", 1.0 if state.isup else 0.0, labels)
            if 0 < state.speed != _UNKNOWN_SPEED:
                yield Reading("network_speed_bits", state.speed * 1_000_000, labels)

    def _counters(self) -> dict[str, Any]:
        if self._options.root:
            return read_traffic(self._options.proc)
        # nowrap=True would make psutil keep a copy of all counters to hide resets, which the API server handles itself
        counters: dict[str, Any] = self._ps.net_io_counters(pernic=True, nowrap=False)
        return counters
