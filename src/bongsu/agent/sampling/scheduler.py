"""Decides when to sample.

Ticks are at multiples of the interval in UTC, so that samples of all servers fall into the same buckets. Between ticks
the scheduler waits on the monotonic clock. If it cannot sample in time (the machine was suspended, or collectors took
longer than an interval), it skips the tick and counts it. If the wall clock is set:

* forward, or after suspend: the skipped ticks are counted, and logged once;
* back: the same times occur again. Each step back adds 1 ms to their time stamps, so that the API server stores the new
  frames beside the earlier ones and does not take them for duplicates.

While somebody looks at the server, there are extra ticks in between (``agent/pace.py``), for the collectors that
sample in the agent's interval.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bongsu.agent.collectors.base import Collector
from bongsu.agent.log import EventLog
from bongsu.agent.pace import Pace
from bongsu.agent.sampling.assembly import Assembler
from bongsu.agent.sampling.runner import TIMEOUT_SECONDS, CollectorRunner, RunningCollector
from bongsu.agent.stats import Stats
from bongsu.core.clock import Clock
from bongsu.core.samples import ContainerList, Frame, ProcessList
from bongsu.core.series import Layout

# When NTP slews the clock, it moves by less than this within an interval.
CLOCK_STEP_MS = 1_000
# How long after the start the first sample is taken, so that usage and rates have a previous reading.
FIRST_TICK_MS = 1_000


class Wakeup(Protocol):
    def wait(self, seconds: float) -> bool:
        """Waits for this time, or less. Returns True if the scheduler must stop."""
        ...

    def nudge(self) -> None:
        """Ends the wait, if there is one. Any thread may call it."""
        ...


# A list comes without a layout.
Sink = Callable[[Frame | ProcessList | ContainerList, Layout | None], None]


@dataclass(slots=True)
class LayoutGroup:
    """Collectors with one interval, which share a layout. ``bucket``: the latest interval in which they ran."""

    interval_ms: int
    assembler: Assembler
    collectors: list[RunningCollector] = field(default_factory=list)
    bucket: int = -1


def suspend_aware_seconds() -> float:
    """Seconds on a clock that also counts time in suspend, if the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Scheduler:
    """Samples at every tick until it is stopped. ``collectors``: each with its own interval in ms; ``interval_ms`` is
    the shortest. ``before_tick``: called at the ticks of that interval with their time and that of their frames."""

    def __init__(
        self,
        collectors: Sequence[tuple[Collector, int]],
        *,
        interval_ms: int,
        sink: Sink,
        log: EventLog,
        stats: Stats,
        clock: Clock,
        boot_clock: Callable[[], float] = suspend_aware_seconds,
        timeout_seconds: float = TIMEOUT_SECONDS,
        before_tick: Callable[[int, int], None] = lambda time_ms, stamp_ms: None,
        after_tick: Callable[[list[RunningCollector]], None] = lambda collectors: None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace(interval_ms, 0)
        self._sink = sink
        self._log = log
        self._stats = stats
        self._clock = clock
        self._boot_clock = boot_clock
        self._before_tick = before_tick
        self._after_tick = after_tick
        self._runner = CollectorRunner()
        self._groups: dict[tuple[int, str], LayoutGroup] = {}
        self.collectors: list[RunningCollector] = []
        for collector, collector_interval_ms in collectors:
            self._add(collector, max(collector_interval_ms, interval_ms), timeout_seconds)
        self._wall_offset_ms = self._read_wall_offset_ms()
        self._boot_offset = boot_clock() - clock.monotonic()
        self._newest_ms = 0
        self._shift_ms = 0

    def _add(self, collector: Collector, interval_ms: int, timeout_seconds: float) -> None:
        key = (interval_ms, collector.name if collector.own_layout else "")
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = LayoutGroup(interval_ms, Assembler(self._report_unsendable))
        running = RunningCollector(collector, timeout_seconds)
        group.assembler.declare(collector)
        group.collectors.append(running)
        self.collectors.append(running)

    def run(self, wakeup: Wakeup) -> None:
        """Samples until ``wakeup`` tells it to stop."""
        self._runner.run(self.collectors)  # the previous readings of the first sample
        soon = self._clock.now_ms() + FIRST_TICK_MS
        tick_ms = self._next_tick()
        if tick_ms - soon > FIRST_TICK_MS:  # an extra sample, so that a new server appears within seconds
            tick_ms = soon
        # never longer than an interval, because the clock may be set back in this moment
        while not wakeup.wait(min(max(0, tick_ms - self._clock.now_ms()), self._pace.interval_ms) / 1000):
            clock_was_set = self._check_clock()
            now_ms = self._clock.now_ms()
            if clock_was_set or now_ms - tick_ms >= self._pace.own_ms:
                tick_ms = self._skip_to_next_tick(tick_ms, now_ms)
                continue
            if now_ms < tick_ms:  # the timer rounded down, or the pace has changed
                tick_ms = min(tick_ms, self._next_tick())
                continue
            tick_ms = self._latest(tick_ms, now_ms)
            began = self._clock.monotonic()
            self.tick(tick_ms)
            if self._pace.is_fast and (self._clock.monotonic() - began) * 1000 > self._pace.interval_ms:
                self._pace.slow_down()
            tick_ms = self._tick_after(tick_ms)
        self._runner.stop()

    def _tick_after(self, tick_ms: int) -> int:
        """The next tick, or a later one if its time has passed."""
        interval_ms = self._pace.interval_ms
        next_ms = self._following(tick_ms)
        late_ms = self._clock.now_ms() - next_ms
        if late_ms < interval_ms:
            return next_ms
        if interval_ms < self._pace.own_ms:  # no regular tick is left out
            return min(next_ms - next_ms % -self._pace.own_ms, self._next_tick())
        missed = late_ms // interval_ms
        self._stats.missed_ticks += missed
        self._log.problem("slow", f"Sampling took longer than the interval; {missed} ticks were skipped.")
        return next_ms + missed * interval_ms

    def _latest(self, tick_ms: int, now_ms: int) -> int:
        """A tick that is due, without extra ticks that were slept through before it."""
        interval_ms, own_ms = self._pace.interval_ms, self._pace.own_ms
        if now_ms - tick_ms < interval_ms or interval_ms == own_ms:
            return tick_ms
        regular_ms = now_ms - now_ms % own_ms
        return regular_ms if regular_ms >= tick_ms else now_ms - now_ms % interval_ms

    def _skip_to_next_tick(self, tick_ms: int, now_ms: int) -> int:
        missed = max(0, (now_ms - tick_ms) // self._pace.own_ms)
        self._stats.missed_ticks += missed
        return self._next_tick()

    def tick(self, time_ms: int) -> None:
        """Runs the collectors that are due and passes their frames to the sink."""
        own_ms = self._pace.own_ms
        extra = self._pace.is_fast and time_ms % own_ms > 0
        due = [
            group
            for group in self._groups.values()
            if time_ms // group.interval_ms != group.bucket or (extra and group.interval_ms == own_ms)
        ]
        stamp_ms = self._stamp(time_ms)
        if not extra:
            self._before_tick(time_ms, stamp_ms)
        results = self._runner.run(running for group in due for running in group.collectors if _is_due(running))
        readings_of = {result.running: result.readings for result in results}
        for group in due:
            group.bucket = time_ms // group.interval_ms
            readings = [reading for running in group.collectors for reading in readings_of.get(running, ())]
            frame = group.assembler.frame(stamp_ms, readings, extra=extra)
            if frame is not None and group.assembler.layout is not None:
                self._sink(frame, group.assembler.layout)
                self._stats.frames += 1
        self._stats.ticks += 1
        for result in results:
            name = result.running.name
            if result.error:
                self._stats.collector_errors[name] = self._stats.collector_errors.get(name, 0) + 1
                self._log.problem(f"collector {name}", f"Collector {name}: {result.error}")
            else:
                self._log.resolved(f"collector {name}", f"Collector {name} works again.")
                processes = result.running.collector.processes
                if processes:
                    self._sink(ProcessList(stamp_ms, processes), None)
                containers = result.running.collector.containers
                if containers is not None:
                    containers.time_ms = stamp_ms
                    self._sink(containers, None)
        self._after_tick(self.collectors)

    def _stamp(self, time_ms: int) -> int:
        if time_ms > self._newest_ms:
            self._newest_ms = time_ms
            self._shift_ms = 0
        return time_ms + self._shift_ms

    def _next_tick(self) -> int:
        return self._following(self._clock.now_ms())

    def _following(self, time_ms: int) -> int:
        """The first tick after a time: a multiple of the interval at present, or of the agent's own."""
        return min(time_ms - time_ms % step_ms + step_ms for step_ms in (self._pace.interval_ms, self._pace.own_ms))

    def _read_wall_offset_ms(self) -> int:
        return self._clock.now_ms() - round(self._clock.monotonic() * 1000)

    def _check_clock(self) -> bool:
        """Whether the wall clock was set, or the machine was suspended, since the previous check."""
        wall_offset_ms = self._read_wall_offset_ms()
        step_ms, self._wall_offset_ms = wall_offset_ms - self._wall_offset_ms, wall_offset_ms
        boot_offset = self._boot_clock() - self._clock.monotonic()
        suspended_seconds, self._boot_offset = boot_offset - self._boot_offset, boot_offset
        was_suspended = suspended_seconds * 1000 > CLOCK_STEP_MS
        if was_suspended:
            self._log.info(f"The machine was suspended for {suspended_seconds:.0f} s; that time has no samples.")
            step_ms -= round(suspended_seconds * 1000)
        if step_ms > CLOCK_STEP_MS:
            self._log.info(f"The clock was set forward by {step_ms / 1000:.0f} s.")
        elif step_ms < -CLOCK_STEP_MS:
            self._log.info(
                f"The clock was set back by {-step_ms / 1000:.0f} s; samples at repeated times are stamped 1 ms later."
            )
            self._shift_ms += 1
        return was_suspended or abs(step_ms) > CLOCK_STEP_MS

    def _report_unsendable(self, topic: str, problem: str) -> None:
        self._log.problem(f"series {topic}", f"Not sent: {problem}.")


def _is_due(running: RunningCollector) -> bool:
    if running.hanging:
        return False
    running.due_ticks += 1
    return running.due_ticks % running.interval_factor == 0
