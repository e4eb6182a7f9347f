"""Limits of the agent's own cost."""

from bongsu.agent.pace import Pace
from bongsu.agent.sampling.cost_limiter import CALM_WINDOWS, MAX_INTERVAL_FACTOR, CostLimiter
from bongsu.agent.sampling.runner import RunningCollector
from bongsu.agent.stats import Stats
from tests.support.agent_fakes import FakeLog, FastCollector
from tests.support.clock import FakeClock


class World:
    """A CostLimiter whose measured cost the test sets."""

    def __init__(self, limit: float = 0.01) -> None:
        self.clock = FakeClock()
        self.log = FakeLog()
        self.stats = Stats()
        self.cpu_seconds = 0.0
        self.resident = 0
        self.pace = Pace(10_000, 1_000, monotonic=self.clock.monotonic)
        self.collectors = [RunningCollector(FastCollector("cheap")), RunningCollector(FastCollector("expensive"))]
        self.limiter = CostLimiter(
            cpu_limit=limit,
            memory_limit_bytes=1024**2,
            stats=self.stats,
            log=self.log,
            pace=self.pace,
            monotonic=self.clock.monotonic,
            cpu=lambda: self.cpu_seconds,
            resident=lambda: self.resident,
        )

    def minute(self, share: float) -> None:
        for _ in range(6):
            self.clock.advance(10)
            self.cpu_seconds += share * 10
            self.collectors[0].cpu_seconds += share
            self.collectors[1].cpu_seconds += share * 9
            self.limiter.check(self.collectors)


def test_the_costliest_collector_is_slowed_down_and_recovers() -> None:
    world = World()
    world.minute(0.005)
    assert [running.interval_factor for running in world.collectors] == [1, 1]
    world.minute(0.02)
    assert [running.interval_factor for running in world.collectors] == [1, 2]
    assert world.stats.slowed == {"expensive": 2}
    assert "2.0% of a core, more than its limit of 1.0%: the collector expensive" in world.log.lines[0]
    for _ in range(CALM_WINDOWS):
        world.minute(0.001)
    assert [running.interval_factor for running in world.collectors] == [1, 1]
    assert world.log.lines[1] == "The collector expensive runs as often as configured again."


def test_no_collector_is_slowed_down_without_limit() -> None:
    world = World()
    for _ in range(20):
        world.minute(0.5)
    assert [running.interval_factor for running in world.collectors] == [MAX_INTERVAL_FACTOR, MAX_INTERVAL_FACTOR]
    assert world.log.lines[-1] == "The agent uses 50.0% of a core, and no collector can be slowed down further."


def test_one_costly_moment_slows_nothing_down() -> None:
    world = World()
    world.cpu_seconds += 0.5  # the start
    world.minute(0.001)
    assert [running.interval_factor for running in world.collectors] == [1, 1]


def test_too_much_memory_is_logged_once() -> None:
    world = World()
    world.resident = 2 * 1024**2
    world.minute(0)
    world.minute(0)
    world.resident = 500
    world.minute(0)
    assert world.log.lines == [
        "The agent uses 2.00 MiB of memory, more than its limit of 1.00 MiB.",
        "The agent's memory is within its limit again.",
    ]


def test_before_a_collector_is_slowed_down_the_agent_samples_less_often_for_those_who_look_at_it() -> None:
    world = World()
    world.pace.asked(1_000)
    assert world.pace.interval_ms == 1_000
    for _ in range(5):
        world.clock.advance(10)
        world.pace.asked(1_000)
        world.limiter.check(world.collectors)
    world.cpu_seconds += 2
    world.clock.advance(10)
    world.limiter.check(world.collectors)
    world.pace.asked(1_000)
    assert world.pace.interval_ms == 2_000
    assert [running.interval_factor for running in world.collectors] == [1, 1]
    world.pace.asked(0)
    world.minute(0.02)
    assert [running.interval_factor for running in world.collectors] == [1, 2], "nobody looks, and it costs too much"
