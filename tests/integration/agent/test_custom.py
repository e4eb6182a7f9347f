"""Custom metrics, from scripts that really run and from StatsD."""

import sys

import pytest

from bongsu.agent.collectors.base import Options
from bongsu.agent.collectors.custom import CustomCollector
from bongsu.agent.collectors.custom_statsd import StatsD
from bongsu.agent.config import CollectorConfig, Config
from bongsu.agent.sampling.assembly import Assembler
from bongsu.agent.stats import Stats
from bongsu.agent.wiring import make_collectors
from bongsu.core.errors import ConfigError
from bongsu.core.series import Kind
from tests.support.agent_fakes import by_series, fake_ps, wait_for
from tests.support.clock import FakeClock


def custom_collector(
    clock: FakeClock, problems: list[str], timeout_ms: int = 30_000, **scripts: str
) -> CustomCollector:
    options = Options(
        settings={"scripts": scripts, "timeout": timeout_ms},
        report_problem=lambda topic, problem: problems.append(problem),
    )
    return CustomCollector(fake_ps(), options, monotonic=clock.monotonic)


def test_a_script_is_read_at_a_later_tick_and_delays_none() -> None:
    problems: list[str] = []
    collector = custom_collector(FakeClock(), problems, answer=f'{sys.executable} -c "print(42)"')
    assert list(collector.collect()) == []
    wait_for(lambda: by_series(collector.collect()) == {"custom_answer": 42})
    assert problems == []
    collector.close()


def test_scripts_that_fail_hang_or_do_not_exist_are_reported() -> None:
    problems: list[str] = []
    clock = FakeClock()
    collector = custom_collector(
        clock,
        problems,
        1000,
        bad=f'{sys.executable} -c "raise SystemExit(3)"',
        hang=f'{sys.executable} -c "import time; time.sleep(600)"',
        absent="/no/such/program",
    )
    list(collector.collect())
    clock.advance(0.5)
    wait_for(lambda: list(collector.collect()) == [] and "the script bad exited with status 3" in problems)
    assert not [problem for problem in problems if "hang" in problem]
    clock.advance(1)
    list(collector.collect())
    collector.close()
    assert "the script hang did not end within 1 s and was killed" in problems
    assert "the script absent cannot be started: No such file or directory" in problems


def test_discovered_metrics_make_a_layout() -> None:
    problems: list[str] = []
    collector = custom_collector(
        FakeClock(), problems, answer=f"{sys.executable} -c \"print('paid_total 5'); print('b_bytes 2')\""
    )
    complaints: list[str] = []
    assembler = Assembler(lambda topic, problem: complaints.append(problem))
    assembler.declare(collector)
    wait_for(lambda: assembler.frame(1, collector.collect()) is not None)
    collector.close()
    assert [(series.metric, series.unit, series.kind) for series in assembler.layout.series] == [
        ("custom_b_bytes", "bytes", Kind.GAUGE),
        ("custom_paid_total", "", Kind.COUNTER),
    ]
    assert complaints == []


def test_scripts_do_not_see_the_agents_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_AGENT_TOKEN", "s3cret")
    problems: list[str] = []
    program = "import os; print(sum(name.startswith('BONGSU') for name in os.environ))"
    collector = custom_collector(FakeClock(), problems, secrets=f'{sys.executable} -c "{program}"')
    list(collector.collect())
    wait_for(lambda: by_series(collector.collect()) == {"custom_secrets": 0})
    collector.close()


def test_a_command_beside_the_running_agent_leaves_it_the_port() -> None:
    statsd = StatsD("127.0.0.1:0", lambda topic, problem: None)
    config = Config(collectors={"custom": CollectorConfig(settings={"statsd": f"127.0.0.1:{statsd.port}"})})
    problems: list[str] = []
    try:
        collectors = make_collectors(config, lambda topic, problem: problems.append(problem))
        assert problems == []
        assert "custom" in {collector.name for collector, _ in collectors}
        with pytest.raises(ConfigError, match="cannot be used"):
            make_collectors(config, lambda topic, problem: None, Stats())
    finally:
        statsd.close()
