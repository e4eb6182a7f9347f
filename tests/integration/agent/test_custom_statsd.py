"""StatsD packets become values."""

import socket

import pytest

from bongsu.agent.collectors.custom_statsd import StatsD
from bongsu.core.errors import ConfigError
from tests.support.agent_fakes import wait_for


def ignore(topic: str, problem: str) -> None:
    return


@pytest.fixture
def statsd():
    server = StatsD("127.0.0.1:0", ignore)
    yield server
    server.close()


def send(port: int, text: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(text.encode(), ("127.0.0.1", port))


def taken(statsd: StatsD, packet: str, *, last: str = "custom_end") -> dict[str, tuple[float, bool]]:
    """The values after a packet. A last gauge shows that the packet was read."""
    send(statsd.port, packet)
    send(statsd.port, f"{last.removeprefix('custom_')}:1|g")
    kept: dict[str, tuple[float, bool]] = {}

    def arrived() -> bool:
        kept.update(
            {name + "".join(f"[{v}]" for _, v in labels): value for (name, labels), value in statsd.values().items()}
        )
        return last in kept

    wait_for(arrived)
    del kept[last]
    return kept


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param("orders:3|c\norders:2|c", {"custom_orders_total": (5.0, True)}, id="counters add up"),
        pytest.param("orders:3|c|@0.1", {"custom_orders_total": (30.0, True)}, id="a sample rate scales the value"),
        pytest.param("q:7|g\nq:-2|g\nq:+1|g", {"custom_q": (6.0, False)}, id="gauges can be changed by a difference"),
        pytest.param(
            "t:250|ms\nt:750|ms",
            {"custom_t_count_total": (2.0, True), "custom_t_seconds_total": (1.0, True)},
            id="timers are a count and a sum in seconds",
        ),
        pytest.param("hits:1|c|#shop:eu,Paid", {"custom_hits_total[][eu]": (1.0, True)}, id="tags are labels"),
        pytest.param(
            "rubbish\nx:|c\ny:1|zz\nz:1|c|@7\nq:1|g", {"custom_q": (1.0, False)}, id="invalid lines are ignored"
        ),
    ],
)
def test_statsd(statsd: StatsD, packet: str, expected: dict[str, tuple[float, bool]]) -> None:
    assert taken(statsd, packet) == expected


def test_statsd_sets_count_distinct_members(statsd: StatsD) -> None:
    send(statsd.port, "u:a|s\nu:b|s\nu:a|s")
    key = ("custom_u", ())
    seen: list[float] = []
    wait_for(lambda: seen.append(statsd.values().get(key, (0.0, False))[0]) or 2.0 in seen)
    assert statsd.values()[key] == (0.0, False)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:8125", "192.0.2.1:8125", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:99999"]
)
def test_statsd_listens_on_loopback_only(address: str) -> None:
    with pytest.raises(ConfigError, match="StatsD address"):
        StatsD(address, ignore)


def test_a_port_in_use_is_reported(statsd: StatsD) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        StatsD(f"127.0.0.1:{statsd.port}", ignore)


def test_an_error_loses_one_packet_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[tuple[str, str]] = []
    monkeypatch.setattr("bongsu.agent.collectors.custom_statsd.ERROR_PAUSE_SECONDS", 0.0)
    statsd = StatsD("127.0.0.1:0", lambda topic, problem: problems.append((topic, problem)))
    add, broken = statsd._add, [OSError(12, "Cannot allocate memory"), RuntimeError("a bug")]

    def fail_twice(line: str) -> None:
        if broken:
            raise broken.pop(0)
        add(line)

    monkeypatch.setattr(statsd, "_add", fail_twice)
    try:
        for _ in range(2):
            send(statsd.port, "lost:1|c")
        assert taken(statsd, "kept:1|c") == {"custom_kept_total": (1.0, True)}
    finally:
        statsd.close()
    assert [topic for topic, _ in problems] == ["statsd", "statsd"]
    assert "Cannot allocate memory" in problems[0][1]
    assert "RuntimeError: a bug" in problems[1][1]
