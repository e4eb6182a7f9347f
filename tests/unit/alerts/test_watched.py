"""How far a clock is off, by the arrival of frames."""

import pytest

from bongsu.alerts.watched import WatchedServer

NOW = 1_750_000_000_000


@pytest.mark.parametrize(
    ("lags", "shift", "blind"),
    [
        pytest.param([1], 0, False, id="the first frame: 1 s is the way of a frame"),
        pytest.param([3, 1, 7], 1, False, id="three at the pace of their time stamps: the fastest shows the clock"),
        pytest.param([45], 0, True, id="45 s late: a clock that is behind, or a backlog"),
        pytest.param([45, 47], 0, True, id="two are not enough"),
        pytest.param([45, 47, 52], 45, False, id="three are: the clock is 45 s behind"),
        pytest.param([3600, 2400, 1200, 30], 0, False, id="a backlog arrives faster than it was made"),
        pytest.param([3600, 3400, 3200, 3000], 0, True, id="also a slow one"),
        pytest.param([60, 50, 40, 30], 0, False, id="at twice the pace, until it has caught up"),
        pytest.param([-200], -200, False, id="no frame arrives before it is made: the clock is ahead"),
        pytest.param([-200, -199, 2], 0, False, id="ahead, then corrected"),
        pytest.param([2, 2, 2, 300], 0, True, id="set back by five minutes"),
        pytest.param([2, 2, 2, 300, 301, 302], 300, False, id="and known again"),
    ],
)
def test_the_shift_of_a_clock(lags: list[float], shift: float, blind: bool) -> None:
    server = WatchedServer(1, "web-1", {}, 10_000, NOW)
    for index, lag in enumerate(lags):
        now_ms = NOW + 10_000 * index
        server.arrived(now_ms - round(lag * 1000), now_ms)
    assert (server.shift_ms, server.blind_since_ms is not None) == (shift * 1000, blind)


def test_a_server_is_alive_when_anything_arrives() -> None:
    server = WatchedServer(1, "web-1", {}, 10_000, NOW)
    assert not server.heard
    server.arrived(NOW - 86_400_000, NOW + 500)
    assert (server.heard, server.alive_ms) == (True, NOW + 500)
