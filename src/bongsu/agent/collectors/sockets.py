"""Network connections by state, as far as the kernel counts them anyway."""

import os
from collections.abc import Iterable

from bongsu.agent.collectors.base import Gauge, Labels, Options, Ps, Reading, read_bytes

# /proc/net/sockstat word -> state, for the line "TCP:"
_TCP_STATES = {"inuse": "in_use", "orphan": "orphan", "tw": "time_wait", "alloc": "allocated"}
_ESTABLISHED = "CurrEstab"


class SocketsCollector:
    """TCP connections by state and UDP sockets, IPv4 and IPv6 added up.

    Source: ``/proc/net/sockstat``, ``sockstat6`` and ``CurrEstab`` of ``/proc/net/snmp``: 0.1 ms however many
    connections there are, where ``psutil.net_connections`` looks at each one (8 ms and more). Linux only; elsewhere
    nothing.
    """

    name = "sockets"
    metrics = (
        Gauge("network_tcp_connections", "TCP connections by state."),
        Gauge("network_udp_sockets", "UDP sockets in use."),
        Gauge("network_sockets_used", "Sockets of all kinds."),
        Gauge("network_tcp_memory_bytes", "Memory that TCP buffers take."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        self._net = f"{(options or Options()).proc}/net"
        self._labels: dict[str, Labels] = {
            state: (("state", state),) for state in ("established", *_TCP_STATES.values())
        }

    def collect(self) -> Iterable[Reading]:
        try:
            four = _table(read_bytes(f"{self._net}/sockstat"))
        except FileNotFoundError:  # not Linux
            return
        try:
            six = _table(read_bytes(f"{self._net}/sockstat6"))
        except FileNotFoundError:  # IPv6 is switched off
            six = {}
        tcp = four.get("TCP", {})
        for word, state in _TCP_STATES.items():
            if word in tcp:
                # the other words of the line are for both protocols already
                both = six.get("TCP6", {}).get("inuse", 0) if word == "inuse" else 0
                yield Reading("network_tcp_connections", tcp[word] + both, self._labels[state])
        established = _established(read_bytes(f"{self._net}/snmp"))
        if established is not None:
            yield Reading("network_tcp_connections", established, self._labels["established"])
        if "inuse" in four.get("UDP", {}):
            yield Reading("network_udp_sockets", four["UDP"]["inuse"] + six.get("UDP6", {}).get("inuse", 0))
        if "used" in four.get("sockets", {}):
            yield Reading("network_sockets_used", four["sockets"]["used"])
        if "mem" in tcp:  # in pages
            yield Reading("network_tcp_memory_bytes", tcp["mem"] * os.sysconf("SC_PAGE_SIZE"))


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
