"""A collector that fails or hangs harms nobody else."""

import threading

import pytest

from bongsu.agent.collectors.base import Gauge, Reading
from bongsu.agent.sampling.runner import Job, Worker
from tests.support.agent_fakes import wait_for


class Fast:
    metrics = (Gauge("fast", "."),)

    def __init__(self, name: str = "fast") -> None:
        self.name = name

    def collect(self):
        yield Reading(self.name, 1.0)


class Hanging:
    name = "hanging"
    metrics = ()

    def __init__(self) -> None:
        self.back = threading.Event()
        self.calls = 0

    def collect(self):
        self.calls += 1
        self.back.wait()
        yield Reading("late", 1.0)


class Failing:
    name = "failing"
    metrics = ()

    def collect(self):
        yield Reading("before", 1.0)
        raise OSError("the disk is on fire")


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.stop()


def names(results) -> list[str]:
    return [reading.metric for result in results for reading in result.readings]


def test_all_run_in_order(worker: Worker) -> None:
    results = worker.run([Job(Fast("a")), Job(Fast("b"))])
    assert names(results) == ["a", "b"]
    assert [result.error for result in results] == ["", ""]


def test_one_thread_is_enough_while_nothing_hangs(worker: Worker) -> None:
    jobs = [Job(Fast(str(number))) for number in range(5)]
    before = threading.active_count()
    for _ in range(20):
        worker.run(jobs)
    assert threading.active_count() <= before + 1
    assert all(job.runs == 20 for job in jobs)


def test_what_came_before_an_error_is_kept(worker: Worker) -> None:
    results = worker.run([Job(Failing()), Job(Fast())])
    assert names(results) == ["before", "fast"]
    assert results[0].error == "OSError: the disk is on fire"


def test_the_rest_goes_on_while_one_hangs(worker: Worker) -> None:
    hanging = Hanging()
    job = Job(hanging, timeout_seconds=0.05)
    try:
        results = worker.run([Job(Fast("a")), job, Job(Fast("b"))])
        assert names(results) == ["a", "b"]
        assert [result.error for result in results] == ["", "does not answer within 0.05 s", ""]
        for _ in range(3):
            assert names(worker.run([Job(Fast("a")), job])) == ["a"]
        assert hanging.calls == 1
    finally:
        hanging.back.set()
    wait_for(lambda: not job.hanging)
    assert names(worker.run([job])) == ["late"]


def test_the_last_of_a_round_may_hang_too(worker: Worker) -> None:
    hanging = Hanging()
    try:
        results = worker.run([Job(Fast("a")), Job(hanging, timeout_seconds=0.05)])
        assert names(results) == ["a"]
        assert names(worker.run([Job(Fast("b"))])) == ["b"]
    finally:
        hanging.back.set()


def test_the_cost_of_a_collector_is_its_own_cpu_time(worker: Worker) -> None:
    class Busy(Fast):
        def collect(self):
            yield Reading("busy", float(sum(range(300_000))))

    busy, idle = Job(Busy()), Job(Fast())
    worker.run([busy, idle])
    assert busy.cpu_seconds > 10 * idle.cpu_seconds
