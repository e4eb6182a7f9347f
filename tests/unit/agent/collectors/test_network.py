"""Network interfaces from given readings."""

import sys

import pytest

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.network import NetworkCollector
from tests.support.agent_fakes import NetIo, NetState, by_series, fake_ps


def network_ps(**names):
    return fake_ps(
        net_io_counters={name: NetIo(1, 2, 3, 4, 5, 6, 7, 8) for name in names},
        net_if_stats={name: state for name, state in names.items() if state},
    )


def test_traffic_in_both_directions() -> None:
    seen = by_series(NetworkCollector(network_ps(eth0=NetState(True, 2, 1000, 1500, ""))).collect())
    expected = {
        "network_transmit_bytes_total[eth0]": 1,
        "network_receive_bytes_total[eth0]": 2,
        "network_transmit_packets_total[eth0]": 3,
        "network_receive_packets_total[eth0]": 4,
        "network_receive_errors_total[eth0]": 5,
        "network_transmit_errors_total[eth0]": 6,
        "network_receive_drops_total[eth0]": 7,
        "network_up[eth0]": 1,
        "network_speed_bits[eth0]": 1_000_000_000,
    }
    if sys.platform != "darwin":
        expected["network_transmit_drops_total[eth0]"] = 8
    assert seen == expected


@pytest.mark.parametrize("speed", [0, 65_535, -1])
def test_a_speed_that_is_not_known_is_left_out(speed: int) -> None:
    seen = by_series(NetworkCollector(network_ps(wlan0=NetState(False, 0, speed, 1500, ""))).collect())
    assert seen["network_up[wlan0]"] == 0
    assert "network_speed_bits[wlan0]" not in seen


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(Options(), {"eth0", "wg0"}, id="loopback and virtual pairs are left out by default"),
        pytest.param(
            Options({"interfaces": Filter(exclude=("wg*",))}),
            {"eth0", "lo", "veth12"},
            id="a configured exclusion replaces the default",
        ),
        pytest.param(Options({"interfaces": Filter(("lo", "eth*"))}), {"eth0", "lo"}, id="include"),
        pytest.param(Options({"interfaces": Filter(("eth*",), ("eth0",))}), set(), id="include and exclude"),
    ],
)
def test_interfaces_are_chosen_by_pattern(options: Options, expected: set[str]) -> None:
    state = NetState(True, 2, 1000, 1500, "")
    readings = NetworkCollector(network_ps(lo=state, eth0=state, veth12=state, wg0=state), options).collect()
    assert {dict(reading.labels)["interface"] for reading in readings} == expected


def test_an_interface_that_disappears_between_two_calls_keeps_its_counters() -> None:
    seen = by_series(NetworkCollector(network_ps(eth0=None)).collect())
    assert "network_receive_bytes_total[eth0]" in seen
    assert "network_up[eth0]" not in seen
