"""Parts that are built from the configuration."""

import subprocess
import sys

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


def test_an_agent_without_targets_loads_nothing_of_scraping() -> None:
    code = (
        "import sys; from bongsu.agent.config import load; from bongsu.agent.daemon import Agent; "
        "from bongsu.agent.wiring import make_scraper, make_targets; config = load(environment={}); "
        "assert make_targets(config) == []; "
        "print([name for name in sys.modules if 'scrape' in name])"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    assert output == "[]\n"
