"""Network interfaces."""

import sys
from collections.abc import Iterable

from bongsu.agent.collectors.base import Counter, Filter, Gauge, Labels, Options, Ps, Reading

# The loopback, one end of a pair whose other end is in a container, and bridges that count what their members count
# already.
DEFAULT_INTERFACES = Filter(
    exclude=(
        *(
            "lo",
            "lo0",
            "Loopback*",
            "veth*",
            "docker*",
            "br-*",
            "virbr*",
            "vnet*",
            "cni*",
            "cali*",
            "flannel*",
            "lxc*",
            "podman*",
        ),
        *(
            "ifb*",
            "dummy*",
            "sit*",
            "ip6tnl*",
            "tunl*",
            "gre*",
            "erspan*",
            "kube-*",
            "nodelocaldns",
            "awdl*",
            "llw*",
            "gif*",
            "stf*",
        ),
        *("anpi*", "ap[0-9]*", "bridge[0-9]*", "isatap*", "Teredo*"),
    )
)
# The driver says 65535 Mbit/s (2^16 - 1) when it does not know.
_UNKNOWN_SPEED = 65_535


class NetworkCollector:
    """Traffic per interface.

    Source: ``psutil.net_io_counters`` (Linux: ``/proc/net/dev``) and ``psutil.net_if_stats`` for state and speed.
    Filter ``interfaces``.
    """

    name = "network"
    metrics = (
        Counter("network_receive_bytes_total", "Bytes received."),
        Counter("network_transmit_bytes_total", "Bytes sent."),
        Counter("network_receive_packets_total", "Packets received."),
        Counter("network_transmit_packets_total", "Packets sent."),
        Counter("network_receive_errors_total", "Packets that arrived broken."),
        Counter("network_transmit_errors_total", "Packets that could not be sent."),
        Counter("network_receive_drops_total", "Packets thrown away on arrival."),
        Counter("network_transmit_drops_total", "Packets thrown away instead of sent."),
        Gauge("network_up", "1 when the interface is up, 0 when it is not."),
        Gauge("network_speed_bits", "Speed of the link in bits per second."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        self._ps = ps
        self._wanted = (options or Options()).filter("interfaces", DEFAULT_INTERFACES)
        self._labels: dict[str, Labels] = {}

    def collect(self) -> Iterable[Reading]:
        # nowrap: psutil would keep a copy of all counters to hide a reset, which the API server knows how to read
        counters = self._ps.net_io_counters(pernic=True, nowrap=False)
        names = [name for name in counters if self._wanted(name)]
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
            if sys.platform != "darwin":  # macOS has no such counter and psutil says 0
                yield Reading("network_transmit_drops_total", io.dropout, labels)
        stats = self._ps.net_if_stats()
        for name in names:
            state = stats.get(name)
            if state is None:  # went away between the two readings
                continue
            labels = self._labels[name]
            yield Reading("network_up", 1.0 if state.isup else 0.0, labels)
            if 0 < state.speed != _UNKNOWN_SPEED:
                yield Reading("network_speed_bits", state.speed * 1_000_000, labels)
