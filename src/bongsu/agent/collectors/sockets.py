"""TCP connections by state and UDP sockets, from counters that the kernel keeps anyway."""

from collections.abc import Iterable

from bongsu.agent.collectors.base import Collector, Gauge, Labels, Options, Ps, Reading
from bongsu.agent.procfs import PAGE_BYTES, read_bytes

# word in the line "TCP:" of /proc/net/sockstat -> state
_TCP_STATES = {"inuse": "in_use", "orphan": "orphan", "tw": "time_wait", "alloc": "allocated"}
_ESTABLISHED = "CurrEstab"


class SocketsCollector(Collector):
    """TCP connections by state and UDP sockets, IPv4 and IPv6 added up.

    Source: ``/proc/net/sockstat``, ``sockstat6`` and ``CurrEstab`` in ``/proc/net/snmp``. This takes 0.1 ms whatever
    the number of connections; ``psutil.net_connections`` looks at each one, which takes 8 ms or more. Linux only.
    """

    name = "sockets"
    metrics = (
        Gauge("network_tcp_connections", "TCP connections by state."),
        Gauge("network_udp_sockets", "UDP sockets in use."),
        Gauge("network_sockets_used", "Sockets of all kinds."),
        Gauge("network_tcp_memory_bytes", "Memory used by TCP buffers."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        super().__init__(ps, options)
        # In a container, /proc/net is the network of the container.
        self._net = f"{self._options.proc}/1/net" if self._options.root else f"{self._options.proc}/net"
        self._labels: dict[str, Labels] = {
            state: (("state", state),) for state in ("established", *_TCP_STATES.values())
        }

    def collect(self) -> Iterable[Reading]:
        try:
            ipv4 = _table(read_bytes(f"{self._net}/sockstat"))
        except FileNotFoundError:  # not Linux
            return
        try:
            ipv6 = _table(read_bytes(f"{self._net}/sockstat6"))
        except FileNotFoundError:  # IPv6 is disabled
            ipv6 = {}
        tcp = ipv4.get("TCP", {})
        for word, state in _TCP_STATES.items():
            if word in tcp:
                # the other words of this line count both protocols already
                tcp6 = ipv6.get("TCP6", {}).get("inuse", 0) if word == "inuse" else 0
                yield Reading("network_tcp_connections", tcp[word] + tcp6, self._labels[state])
        established = _established(read_bytes(f"{self._net}/snmp"))
        if established is not None:
            yield Reading("network_tcp_connections", established, self._labels["established"])
        if "inuse" in ipv4.get("UDP", {}):
            yield Reading("network_udp_sockets", ipv4["UDP"]["inuse"] + ipv6.get("UDP6", {}).get("inuse", 0))
        if "used" in ipv4.get("sockets", {}):
            yield Reading("network_sockets_used", ipv4["sockets"]["used"])
        if "mem" in tcp:  # in pages
            yield Reading("network_tcp_memory_bytes", tcp["mem"] * PAGE_BYTES)


def _table(data: bytes) -> dict[str, dict[str, int]]:
    """``TCP: inuse 5 orphan 0`` -> ``{"TCP": {"inuse": 5, "orphan": 0}}``."""
    table = {}
    for line in data.decode().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        table[name] = {word: int(value) for word, value in zip(words[::2], words[1::2], strict=False)}
    return table


def _established(data: bytes) -> int | None:
    lines = [line.split() for line in data.decode().splitlines() if line.startswith("Tcp:")]
    if len(lines) != 2 or _ESTABLISHED not in lines[0]:
        return None
    return int(lines[1][lines[0].index(_ESTABLISHED)])
