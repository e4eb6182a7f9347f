"""TCP connections and UDP sockets from given files of /proc."""

from bongsu.agent.collectors.sockets import SocketsCollector
from tests.support.agent_fakes import by_series, fake_ps

SOCKSTAT = """sockets: used 301
TCP: inuse 20 orphan 1 tw 5 alloc 30 mem 3
UDP: inuse 4 mem 2
"""

SOCKSTAT6 = "TCP6: inuse 7\nUDP6: inuse 2\n"

SNMP = "Ip: Forwarding\nIp: 1\nTcp: RtoMin CurrEstab InSegs\nTcp: 200 17 9\n"


def test_sockets_of_both_protocols_are_added_up(proc) -> None:
    options = proc(net__sockstat=SOCKSTAT, net__sockstat6=SOCKSTAT6, net__snmp=SNMP)
    seen = by_series(SocketsCollector(fake_ps(), options).collect())
    assert seen["network_tcp_connections[in_use]"] == 27
    assert seen["network_tcp_connections[time_wait]"] == 5
    assert seen["network_tcp_connections[established]"] == 17
    assert seen["network_udp_sockets"] == 6
    assert seen["network_sockets_used"] == 301
    assert seen["network_tcp_memory_bytes"] % 3 == 0


def test_sockets_without_ipv6(proc) -> None:
    seen = by_series(SocketsCollector(fake_ps(), proc(net__sockstat=SOCKSTAT, net__snmp=SNMP)).collect())
    assert seen["network_tcp_connections[in_use]"] == 20
    assert seen["network_udp_sockets"] == 4


def test_sockets_on_other_systems_than_linux(proc) -> None:
    assert list(SocketsCollector(fake_ps(), proc()).collect()) == []
