"""Decides when to sample.

Ticks stand at multiples of the interval in UTC, so that the samples of all servers fall into the same buckets; between
two ticks the monotonic clock counts, so an interval is as long as it says. A tick that cannot be held in time (the
machine was suspended, or collectors took longer than an interval) is missed, never caught up with. What a step of the
clock does:

* forward, or after suspend: the ticks in between are missed, said once, and counted;
* back: times that were used already come again. Their frames are stamped 1 ms later per step back, so that they stand
  beside the earlier ones instead of being taken for their repetition.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bongsu.agent.collectors.base import Collector
from bongsu.agent.sampling.assembly import Assembler
from bongsu.agent.sampling.runner import Job, Worker
from bongsu.agent.stats import Stats
from bongsu.core.clock import Clock
from bongsu.core.samples import Frame, ProcessList
from bongsu.core.series import Layout

# A clock that NTP slews moves by less than this within an interval.
STEP_MS = 1_000
# The first sample follows the start by this much, so that usage and rates have something to compare with.
FIRST_TICK_MS = 1_000


class Say(Protocol):
    """How the agent tells people something. ``topic``: said again only after ``over`` was called for the topic."""

    def once(self, topic: str, message: str) -> None: ...
    def over(self, topic: str, message: str) -> None: ...
    def info(self, message: str) -> None: ...


class Wakeup(Protocol):
    """Waits, until the time is over or somebody wants the agent's attention."""

    def wait(self, seconds: float) -> bool: ...


# A process list has no layout.
Sink = Callable[[Frame | ProcessList, Layout | None], None]


@dataclass(slots=True)
class Group:
    """Collectors of one interval; they share a layout."""

    interval_ms: int
    assembler: Assembler
    jobs: list[Job] = field(default_factory=list)
    bucket: int = -1


def boot_seconds() -> float:
    """Seconds on a clock that runs on during suspend, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Scheduler:
    """Samples at every tick until told to stop. ``interval_ms``: the shortest interval; longer ones belong to
    collectors."""

    def __init__(
        self,
        collectors: Sequence[tuple[Collector, int]],
        *,
        interval_ms: int,
        sink: Sink,
        say: Say,
        stats: Stats,
        clock: Clock,
        boot_clock: Callable[[], float] = boot_seconds,
        timeout_seconds: float = 2.0,
        after_tick: Callable[[list[Job]], None] = lambda jobs: None,
    ) -> None:
        self.interval_ms = interval_ms
        self._sink = sink
        self._say = say
        self._stats = stats
        self._clock = clock
        self._boot_clock = boot_clock
        self._after_tick = after_tick
        self._worker = Worker()
        self._groups: dict[tuple[int, str], Group] = {}
        self.jobs: list[Job] = []
        for collector, own_ms in collectors:
            self._add(collector, max(own_ms, interval_ms), timeout_seconds)
        self._offset_ms = self._offset()
        self._boot_offset = boot_clock() - clock.monotonic()
        self._newest_ms = 0
        self._shift_ms = 0

    def _add(self, collector: Collector, interval_ms: int, timeout_seconds: float) -> None:
        # series that come and go quickly must not make new layouts of the steady ones
        key = (interval_ms, collector.name if getattr(collector, "own_layout", False) else "")
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(interval_ms, Assembler(self._complain))
        job = Job(collector, timeout_seconds)
        group.assembler.declare(collector)
        group.jobs.append(job)
        self.jobs.append(job)

    def run(self, wakeup: Wakeup) -> None:
        """Returns when ``wakeup`` says so."""
        self._worker.run(self.jobs)  # first readings: what counters are compared with
        soon = self._clock.now_ms() + FIRST_TICK_MS
        tick_ms = self._next_tick()
        if tick_ms - soon > FIRST_TICK_MS:  # an extra sample at once, so that a new server is seen within seconds
            tick_ms = soon
        # never longer than an interval: the clock may be set back while this is being worked out
        while not wakeup.wait(min(max(0, tick_ms - self._clock.now_ms()), self.interval_ms) / 1000):
            stepped = self._watch_clock()
            now_ms = self._clock.now_ms()
            if stepped or now_ms - tick_ms >= self.interval_ms:
                tick_ms = self._after_gap(tick_ms, now_ms)
                continue
            if now_ms < tick_ms:  # woken early by a rounding of the timer
                continue
            self.tick(tick_ms)
            tick_ms = self._following(tick_ms)
        self._worker.stop()

    def _following(self, tick_ms: int) -> int:
        """The tick after this one, or the next one that can still be held."""
        following = tick_ms - tick_ms % self.interval_ms + self.interval_ms
        late = self._clock.now_ms() - following
        if late < self.interval_ms:
            return following
        missed = late // self.interval_ms
        self._stats.missed_ticks += missed
        self._say.once("slow", f"Sampling took longer than the interval; {missed} ticks missed.")
        return following + missed * self.interval_ms

    def _after_gap(self, tick_ms: int, now_ms: int) -> int:
        missed = max(0, (now_ms - tick_ms) // self.interval_ms)
        self._stats.missed_ticks += missed
        return self._next_tick()

    def tick(self, time_ms: int) -> None:
        """Samples what is due at ``time_ms`` and hands the frames on."""
        due = [group for group in self._groups.values() if time_ms // group.interval_ms != group.bucket]
        results = self._worker.run(job for group in due for job in group.jobs if self._wanted(job))
        by_job = {result.job: result for result in results}
        stamp_ms = self._stamp(time_ms)
        for group in due:
            group.bucket = time_ms // group.interval_ms
            readings = [reading for job in group.jobs if job in by_job for reading in by_job[job].readings]
            frame = group.assembler.frame(stamp_ms, readings)
            if frame is not None and group.assembler.layout is not None:
                self._sink(frame, group.assembler.layout)
                self._stats.frames += 1
        self._stats.ticks += 1
        for result in results:
            name = result.job.collector.name
            if result.error:
                self._stats.collector_errors[name] = self._stats.collector_errors.get(name, 0) + 1
                self._say.once(f"collector {name}", f"Collector {name}: {result.error}")
            else:
                self._say.over(f"collector {name}", f"Collector {name} works again.")
                processes = getattr(result.job.collector, "processes", None)
                if processes:
                    self._sink(ProcessList(stamp_ms, processes), None)
        while self._worker.recovered:
            self._worker.recovered.popleft()
        self._after_tick(self.jobs)

    def _wanted(self, job: Job) -> bool:
        if job.hanging:
            return False
        job.turn += 1
        return job.turn % job.every == 0

    def _stamp(self, time_ms: int) -> int:
        if time_ms > self._newest_ms:
            self._newest_ms = time_ms
            self._shift_ms = 0
        return time_ms + self._shift_ms

    def _next_tick(self) -> int:
        now_ms = self._clock.now_ms()
        return now_ms - now_ms % self.interval_ms + self.interval_ms

    def _offset(self) -> int:
        return self._clock.now_ms() - round(self._clock.monotonic() * 1000)

    def _watch_clock(self) -> bool:
        """Whether the wall clock was moved by hand, by NTP or by suspend since it was last asked."""
        offset_ms = self._offset()
        step_ms, self._offset_ms = offset_ms - self._offset_ms, offset_ms
        boot_offset = self._boot_clock() - self._clock.monotonic()
        slept, self._boot_offset = boot_offset - self._boot_offset, boot_offset
        if slept * 1000 > STEP_MS:
            self._say.info(f"The machine slept for {slept:.0f} s; there are no samples of that time.")
            step_ms -= round(slept * 1000)
        if step_ms > STEP_MS:
            self._say.info(f"The clock was set forward by {step_ms / 1000:.0f} s.")
        elif step_ms < -STEP_MS:
            self._say.info(
                f"The clock was set back by {-step_ms / 1000:.0f} s; times that were used already get 1 ms more."
            )
            self._shift_ms += 1
        return abs(step_ms) > STEP_MS or slept * 1000 > STEP_MS

    def _complain(self, topic: str, problem: str) -> None:
        self._say.once(f"series {topic}", f"Not sent: {problem}.")
