"""Keeps the agent within what it may cost.

Over a window of a minute the agent's share of a core is compared with its cap. Over it, the collector that cost most in
the window runs half as often, down to every 16th of its ticks; each further window may slow one more. Under half of
the cap for ``CALM_WINDOWS`` windows, the slowest one gets faster again.
"""

import time
from collections.abc import Callable, Sequence

from bongsu.agent.sampling.runner import Job
from bongsu.agent.sampling.scheduler import Say
from bongsu.agent.stats import Stats
from bongsu.core.units import format_bytes

# Shorter, and a single costly tick would look like a habit.
WINDOW_SECONDS = 60.0
WINDOW_TICKS = 3
CALM_WINDOWS = 10
SLOWEST = 16


class Limits:
    """``check`` is called after each tick."""

    def __init__(
        self,
        *,
        cpu: float,
        memory_bytes: int,
        stats: Stats,
        say: Say,
        monotonic: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
        resident: Callable[[], int] = lambda: 0,
    ) -> None:
        self._cpu = cpu
        self._memory_bytes = memory_bytes
        self._stats = stats
        self._say = say
        self._monotonic = monotonic
        self._spent = spent
        self._resident = resident
        self._ticks = 0
        self._calm = 0
        self._before = (monotonic(), spent())
        self._costs: dict[str, float] = {}

    def check(self, jobs: Sequence[Job]) -> None:
        self._ticks += 1
        at = self._monotonic()
        if self._ticks < WINDOW_TICKS or at - self._before[0] < WINDOW_SECONDS:
            return
        self._ticks = 0
        spent = self._spent()
        share = (spent - self._before[1]) / max(1e-9, at - self._before[0])
        self._before = (at, spent)
        costs = {job.collector.name: job.cpu_seconds for job in jobs}
        recent = {name: cost - self._costs.get(name, 0.0) for name, cost in costs.items()}
        self._costs = costs
        if share > self._cpu:
            self._calm = 0
            self._slow_down(jobs, recent, share)
        elif share < self._cpu / 2:
            self._calm += 1
            if self._calm >= CALM_WINDOWS:
                self._calm = 0
                self._speed_up(jobs)
        self._watch_memory()

    def _slow_down(self, jobs: Sequence[Job], recent: dict[str, float], share: float) -> None:
        able = [job for job in jobs if job.every < SLOWEST]
        if not able:
            self._say.once(
                "cpu limit", f"The agent takes {share:.1%} of a core, and no collector can be slowed further."
            )
            return
        worst = max(able, key=lambda job: recent[job.collector.name])
        worst.every *= 2
        name = worst.collector.name
        self._stats.slowed[name] = worst.every
        self._say.once(
            f"slowed {name}",
            f"The agent takes {share:.1%} of a core, more than its limit of {self._cpu:.1%}: "
            f"the collector {name} runs less often.",
        )

    def _speed_up(self, jobs: Sequence[Job]) -> None:
        slowed = [job for job in jobs if job.every > 1]
        if not slowed:
            return
        job = max(slowed, key=lambda job: job.every)
        job.every //= 2
        name = job.collector.name
        self._stats.slowed[name] = job.every
        if job.every == 1:
            self._say.over(f"slowed {name}", f"The collector {name} runs as often as configured again.")

    def _watch_memory(self) -> None:
        resident = self._resident()
        if resident > self._memory_bytes:
            limit = format_bytes(self._memory_bytes)
            self._say.once("memory limit", f"The agent has {format_bytes(resident)} resident, more than its {limit}.")
        else:
            self._say.over("memory limit", "The agent's memory is within its limit again.")
