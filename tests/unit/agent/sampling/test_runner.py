"""A collector that fails or hangs does not affect the others."""

import threading

import pytest

from bongsu.agent.collectors.base import Collector, Reading
from bongsu.agent.sampling.runner import CollectorRunner, RunningCollector
from tests.support.agent_fakes import FastCollector, fake_ps, wait_for


class Hanging(Collector):
    name = "hanging"

    def __init__(self) -> None:
        super().__init__(fake_ps())
        self.back = threading.Event()
        self.calls = 0

    def collect(self):
        self.calls += 1
        self.back.wait()
        yield Reading("late", 1.0)


class Failing(Collector):
    name = "failing"

    def collect(self):
        yield Reading("before", 1.0)
        raise OSError("the disk is on fire")


@pytest.fixture
def runner():
    runner = CollectorRunner()
    yield runner
    runner.stop()


def names(results) -> list[str]:
    return [reading.metric for result in results for reading in result.readings]


def test_collectors_run_in_order(runner: CollectorRunner) -> None:
    results = runner.run([RunningCollector(FastCollector("a")), RunningCollector(FastCollector("b"))])
    assert names(results) == ["a", "b"]
    assert [result.error for result in results] == ["", ""]


def test_one_thread_is_enough_while_nothing_hangs(runner: CollectorRunner) -> None:
    collectors = [RunningCollector(FastCollector(str(number))) for number in range(5)]
    before = threading.active_count()
    for _ in range(20):
        runner.run(collectors)
    assert threading.active_count() <= before + 1
    assert all(running.runs == 20 for running in collectors)


def test_readings_before_an_error_are_kept(runner: CollectorRunner) -> None:
    results = runner.run([RunningCollector(Failing(fake_ps())), RunningCollector(FastCollector())])
    assert names(results) == ["before", "fast"]
    assert results[0].error == "OSError: the disk is on fire"


def test_the_other_collectors_run_while_one_hangs(runner: CollectorRunner) -> None:
    hanging = Hanging()
    running = RunningCollector(hanging, timeout_seconds=0.05)
    try:
        results = runner.run([RunningCollector(FastCollector("a")), running, RunningCollector(FastCollector("b"))])
        assert names(results) == ["a", "b"]
        assert [result.error for result in results] == ["", "does not answer within 0.05 s", ""]
        for _ in range(3):
            assert names(runner.run([RunningCollector(FastCollector("a")), running])) == ["a"]
        assert hanging.calls == 1
    finally:
        hanging.back.set()
    wait_for(lambda: not running.hanging)
    assert names(runner.run([running])) == ["late"]


def test_the_last_collector_may_hang(runner: CollectorRunner) -> None:
    hanging = Hanging()
    try:
        results = runner.run([RunningCollector(FastCollector("a")), RunningCollector(hanging, timeout_seconds=0.05)])
        assert names(results) == ["a"]
        assert names(runner.run([RunningCollector(FastCollector("b"))])) == ["b"]
    finally:
        hanging.back.set()


def test_the_cost_of_a_collector_is_its_cpu_time(runner: CollectorRunner) -> None:
    class Busy(FastCollector):
        def collect(self):
            yield Reading("busy", float(sum(range(300_000))))

    busy, idle = RunningCollector(Busy()), RunningCollector(FastCollector())
    runner.run([busy, idle])
    assert busy.cpu_seconds > 10 * idle.cpu_seconds
