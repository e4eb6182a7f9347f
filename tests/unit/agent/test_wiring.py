"""Parts that are built from the configuration."""

from bongsu.agent.config import Config
from bongsu.agent.wiring import send_delay_seconds
from bongsu.core.pacing import LONGEST_SEND_DELAY_SECONDS


def test_each_agent_has_a_fixed_delay_within_the_interval() -> None:
    config = Config(servers=("https://bongsu.example",), interval_ms=10_000)
    delays = [send_delay_seconds(config, f"agent {number}") for number in range(1000)]
    assert delays == [send_delay_seconds(config, f"agent {number}") for number in range(1000)]
    assert 0 <= min(delays) < 0.1
    assert 2.9 < max(delays) <= 3.0
    config.interval_ms = 60_000
    assert max(send_delay_seconds(config, f"agent {number}") for number in range(1000)) <= LONGEST_SEND_DELAY_SECONDS


def test_an_agent_on_the_machine_of_its_server_sends_at_once() -> None:
    assert send_delay_seconds(Config(servers=("http://127.0.0.1:8600",)), "any") == 0
