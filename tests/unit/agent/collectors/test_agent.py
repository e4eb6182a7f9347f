"""The agent's own metrics."""

import pytest

from bongsu.agent.collectors.agent import AgentCollector
from bongsu.agent.collectors.base import Options
from bongsu.agent.stats import Stats
from tests.support.agent_fakes import by_series, fake_ps
from tests.support.clock import FakeClock


def test_the_agent_reports_itself() -> None:
    clock = FakeClock()
    stats = Stats(queue_frames=3, dropped_frames=2, oldest_unsent_ms=clock.now_ms() - 5000)
    stats.collector_errors["disk"] = 4
    cpu_seconds = iter([1.0, 1.5])
    options = Options(stats=stats, tags={"site": "seoul"}, version="9")
    collector = AgentCollector(
        fake_ps(), options, now=lambda: clock.now_ms() / 1000, monotonic=clock.monotonic, cpu=lambda: next(cpu_seconds)
    )
    clock.advance(10)
    seen = by_series(collector.collect())
    assert seen["agent_cpu_usage_ratio"] == pytest.approx(0.05)
    assert seen["agent_queue_frames"] == 3
    assert seen["agent_queue_age_seconds"] == pytest.approx(15)
    assert seen["agent_dropped_frames_total"] == 2
    assert seen["agent_collector_errors_total[disk]"] == 4
    assert seen["agent_info[seoul][9]"] == 1
    assert 5e6 < seen["agent_memory_bytes"] < 5e8
