"""When samples are taken, also when the clock is set."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from bongsu.agent.collectors.base import Collector, Counter, Reading
from bongsu.agent.pace import Pace
from bongsu.agent.sampling.scheduler import Scheduler
from bongsu.agent.stats import Stats
from bongsu.core.samples import Process, ProcessList, unpack
from tests.support.agent_fakes import FakeLog, fake_ps
from tests.support.clock import FakeClock

# 22:13:20 UTC, a multiple of 10 s
START_MS = 1_700_000_000_000


class Ticks:
    """Advances the clock instead of waiting, runs the action planned for each wait, and stops after ``waits`` waits."""

    def __init__(self, clock: FakeClock, waits: int) -> None:
        self.clock = clock
        self.left = waits
        self.plans: dict[int, Callable[[], None]] = {}
        self.count = 0

    def wait(self, seconds: float) -> bool:
        self.clock.advance(seconds)
        self.count += 1
        self.plans.get(self.count, lambda: None)()
        self.left -= 1
        return self.left < 0

    def nudge(self) -> None:
        return


class Counting(Collector):
    metrics = (Counter("calls_total", "Calls."),)

    def __init__(self, name: str = "counting", during: Callable[[], None] = lambda: None) -> None:
        super().__init__(fake_ps())
        self.name = name
        self.calls = 0
        self.during = during

    def collect(self):
        self.calls += 1
        self.during()
        yield Reading("calls_total", self.calls)


class World:
    def __init__(self, start_ms: int = START_MS, interval_ms: int = 10_000) -> None:
        self.clock = FakeClock(start_ms)
        self.log = FakeLog()
        self.stats = Stats()
        self.slept = 0.0
        self.interval_ms = interval_ms
        self.pace = Pace(interval_ms, 1_000, monotonic=self.clock.monotonic)
        self.frames: list = []

    def run(self, waits: "int | Ticks", *collectors, plans=None) -> list[int]:
        scheduler = Scheduler(
            collectors or [(Counting(), 0)],
            interval_ms=self.interval_ms,
            sink=lambda frame, layout: self.frames.append(frame),
            log=self.log,
            stats=self.stats,
            clock=self.clock,
            boot_clock=lambda: self.clock.monotonic() + self.slept,
            pace=self.pace,
        )
        ticks = waits
        if isinstance(waits, int):
            ticks = Ticks(self.clock, waits)
            ticks.plans = plans or {}
        scheduler.run(ticks)
        return [frame.time_ms - START_MS for frame in self.frames]


def test_samples_are_at_multiples_of_the_interval() -> None:
    # 3.7 s past a boundary: one sample a second later so that the server appears soon, then 10, 20, 30 ...
    assert World(START_MS + 3_700).run(4) == [4_700, 10_000, 20_000, 30_000]


def test_there_is_no_early_sample_if_the_next_tick_is_near() -> None:
    assert World(START_MS + 8_500).run(3) == [10_000, 20_000, 30_000]


def test_the_first_sample_has_a_previous_reading() -> None:
    world = World()
    world.run(1)
    assert list(unpack(world.frames[0].values)) == [2.0]  # the second call


def test_slow_sampling_does_not_make_the_ticks_drift() -> None:
    world = World()
    slow = Counting(during=lambda: world.clock.advance(3.0))
    # 3 s of first readings, then: 4 s, 10 s, 20 s ..., each 3 s long
    assert world.run(4, (slow, 0)) == [4_000, 10_000, 20_000, 30_000]
    assert world.stats.missed_ticks == 0


def test_sampling_longer_than_the_interval_skips_ticks_and_is_logged_once() -> None:
    world = World()
    slow = Counting(during=lambda: world.clock.advance(25.0))
    times = world.run(3, (slow, 0))
    assert all(time % 10_000 == 0 for time in times[1:])
    assert world.stats.missed_ticks > 0
    assert len([line for line in world.log.lines if "longer than the interval" in line]) == 1


def test_a_collector_can_have_a_longer_interval_and_its_own_layout() -> None:
    world = World()
    often, seldom = Counting("often"), Counting("seldom")
    seldom.metrics = (Counter("seldom_total", "Calls."),)
    seldom.collect = lambda: [Reading("seldom_total", 1.0)]
    world.run(13, (often, 0), (seldom, 60_000))
    by_layout: dict[int, list[int]] = {}
    for frame in world.frames:
        by_layout.setdefault(frame.layout_id, []).append(frame.time_ms - START_MS)
    first, second = by_layout.values()
    assert first == [1_000, *range(10_000, 130_000, 10_000)]
    assert second == [1_000, 40_000, 100_000]  # the start is 20 s past a minute


def test_setting_the_clock_forward_leaves_a_gap_and_is_logged() -> None:
    world = World()
    times = world.run(5, plans={3: lambda: world.clock.step(3600)})
    assert times == [1_000, 10_000, 3_630_000, 3_640_000]
    assert world.log.lines == ["The clock was set forward by 3600 s."]
    assert world.stats.missed_ticks == 360


def test_setting_the_clock_back_repeats_no_time_stamp() -> None:
    world = World()
    # at 40 s the clock goes back by 25 s: 20, 30 come again, 1 ms later; from 50 on all is as before
    times = world.run(9, plans={5: lambda: world.clock.step(-25)})
    assert len(set(times)) == len(times)
    assert times == [1_000, 10_000, 20_000, 30_000, 20_001, 30_001, 40_000, 50_000]
    assert world.log.lines == ["The clock was set back by 25 s; samples at repeated times are stamped 1 ms later."]


def test_suspend_is_distinguished_from_a_set_clock() -> None:
    world = World()

    def sleep() -> None:
        world.clock.step(7200)
        world.slept += 7200

    times = world.run(5, plans={3: sleep})
    assert times == [1_000, 10_000, 7_230_000, 7_240_000]
    assert world.log.lines == ["The machine was suspended for 7200 s; that time has no samples."]


def test_small_clock_corrections_are_followed_silently() -> None:
    world = World()
    times = world.run(6, plans={number: lambda: world.clock.step(0.02) for number in range(1, 6)})
    assert times[1:] == [10_000, 20_000, 30_000, 40_000, 50_000]
    assert world.log.lines == []


def test_a_failing_collector_is_counted_each_time_and_logged_once() -> None:
    world = World()

    def fail() -> None:
        if world.clock.now_ms() < START_MS + 40_000:
            raise OSError("no such device")

    world.run(6, (Counting("broken", fail), 0), (Counting("sound"), 0))
    assert world.stats.collector_errors == {"broken": 4}
    assert world.log.lines == ["Collector broken: OSError: no such device", "Collector broken works again."]


@pytest.mark.parametrize("interval_ms", [1_000, 5_000, 60_000])
def test_every_interval_is_aligned(interval_ms: int) -> None:
    times = World(START_MS + 123, interval_ms=interval_ms).run(5)
    assert all((START_MS + time) % interval_ms == 0 for time in times[1:])
    assert [after - before for before, after in pairwise(times[1:])] == [interval_ms] * 3


class Listing(Counting):
    """Lists processes in addition to its series; fails at its third call."""

    def __init__(self) -> None:
        super().__init__("listing")

    def collect(self):
        self.processes = [Process(self.calls, "a")]
        yield from super().collect()
        if self.calls == 3:
            raise OSError("no /proc")


def test_processes_are_listed_at_the_time_of_the_frames() -> None:
    world = World(START_MS + 8_500)
    # the first call comes before the first tick, to have something to compare with
    assert world.run(3, (Listing(), 0)) == [10_000, 10_000, 20_000, 30_000, 30_000]
    lists = [payload for payload in world.frames if isinstance(payload, ProcessList)]
    assert [(process_list.time_ms - START_MS, process_list.processes[0].pid) for process_list in lists] == [
        (10_000, 1),
        (30_000, 3),
    ]
    assert world.stats.frames == 3


class Nudged(Ticks):
    """Ends a wait early, as the sender does when somebody begins to look at the server."""

    def __init__(self, clock: FakeClock, waits: int, nudges: dict[int, tuple[float, Callable[[], None]]]) -> None:
        super().__init__(clock, waits)
        self.nudges = nudges

    def wait(self, seconds: float) -> bool:
        early, action = self.nudges.get(self.count + 1, (seconds, lambda: None))
        stopped = super().wait(min(seconds, early))
        action()
        return stopped


def test_somebody_looks_and_leaves() -> None:
    world = World(START_MS + 8_500)
    ask = lambda interval_ms: lambda: world.pace.asked(interval_ms)  # noqa: E731
    # The tick at 10 s; 2.3 s later somebody looks; after 14 s nobody does any more.
    waits = Nudged(world.clock, 6, {2: (2.3, ask(1_000)), 5: (1.0, ask(0))})
    assert world.run(waits) == [10_000, 13_000, 14_000, 20_000]
    assert world.stats.missed_ticks == 0


def test_extra_ticks_do_not_forget_a_series_earlier() -> None:
    world = World(START_MS + 8_500)
    flaky = Counting()
    flaky.collect = lambda: [Reading("calls_total", 1.0)] if world.clock.now_ms() < START_MS + 11_000 else []
    steady = Counting("steady")
    steady.metrics = (Counter("steady_total", "Calls."),)
    steady.collect = lambda: [Reading("steady_total", 1.0)]
    world.pace.asked(1_000)
    keep = {count: lambda: world.pace.asked(1_000) for count in range(1, 200)}
    world.run(120, (flaky, 0), (steady, 0), plans=keep)
    assert len(world.frames) > 100
    assert len({frame.layout_id for frame in world.frames}) == 1


def test_extra_ticks_leave_slower_collectors_alone() -> None:
    world = World(START_MS + 8_500)
    slow = Counting("slow")
    slow.metrics = (Counter("slow_total", "Calls."),)
    slow.collect = lambda: [Reading("slow_total", 1.0)]
    keep = {count: lambda: world.pace.asked(1_000) for count in range(1, 100)}
    world.run(75, (Counting(), 0), (slow, 30_000), plans=keep)
    times: dict[int, list[int]] = {}
    for frame in world.frames:
        times.setdefault(frame.layout_id, []).append(frame.time_ms - START_MS)
    fast, seldom = times.values()
    assert fast == [10_000, *range(11_000, 85_000, 1_000)]
    assert seldom == [10_000, 40_000, 70_000]


def test_extra_ticks_that_are_slept_through_are_left_out_but_never_a_regular_one() -> None:
    world = World(START_MS + 8_500)
    plans = {count: lambda: world.pace.asked(1_000) for count in range(1, 12)}
    # Woken late: from 13 s to 16.4 s, and from 18 s to 22.2 s, past the regular tick at 20 s.
    plans[5] = lambda: (world.pace.asked(1_000), world.clock.advance(2.4))
    plans[7] = lambda: (world.pace.asked(1_000), world.clock.advance(4.2))
    times = world.run(9, plans=plans)
    assert times == [10_000, 11_000, 12_000, 13_000, 16_000, 17_000, 20_000, 23_000, 24_000]
    assert world.stats.missed_ticks == 0


def test_sampling_longer_than_the_short_interval_slows_down_and_is_no_problem() -> None:
    world = World(START_MS + 8_500)
    slow = Counting(during=lambda: world.clock.advance(2.5 if world.pace.is_fast else 0.1))
    keep = {count: lambda: world.pace.asked(1_000) for count in range(1, 100)}
    times = world.run(20, (slow, 0), plans=keep)
    assert set(range(10_000, times[-1], 10_000)) <= set(times), "no regular tick is missing"
    assert world.stats.missed_ticks == 0
    assert not world.log.lines
