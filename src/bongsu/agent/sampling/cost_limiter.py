"""Keeps the agent's CPU usage below its limit.

Once a minute the agent's share of a core is compared with the limit. If it is over, the collector that cost most in
that minute runs half as often, down to every 16th of its ticks. After ``CALM_WINDOWS`` minutes at under half of the
limit, the slowest collector runs twice as often again. If the agent was over the limit while it sampled more often than
configured, because somebody looks at the server, it samples less often first. Memory over its limit is only logged.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bongsu.agent.log import EventLog
from bongsu.agent.pace import Pace
from bongsu.agent.stats import Stats, resident_bytes
from bongsu.core.units import format_bytes

# In a shorter window, a single expensive tick would count as a trend.
WINDOW_SECONDS = 60.0
WINDOW_TICKS = 3
CALM_WINDOWS = 10
MAX_INTERVAL_FACTOR = 16


class Costly(Protocol):
    """What can run less often: a collector or a scraped target. ``interval_factor``: it runs at every n-th tick at
    which it is due."""

    interval_factor: int

    @property
    def name(self) -> str: ...

    @property
    def cpu_seconds(self) -> float: ...


class CostLimiter:
    """Call ``check`` after each tick."""

    def __init__(
        self,
        *,
        cpu_limit: float,
        memory_limit_bytes: int,
        stats: Stats,
        log: EventLog,
        pace: Pace,
        monotonic: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        resident: Callable[[], int] = resident_bytes,
    ) -> None:
        self._cpu_limit = cpu_limit
        self._memory_limit_bytes = memory_limit_bytes
        self._stats = stats
        self._log = log
        self._pace = pace
        self._was_fast = False
        self._monotonic = monotonic
        self._cpu = cpu
        self._resident = resident
        self._ticks = 0
        self._calm_windows = 0
        self._window_start = (monotonic(), cpu())
        self._cpu_seconds: dict[str, float] = {}

    def check(self, collectors: Sequence[Costly]) -> None:
        self._ticks += 1
        self._was_fast |= self._pace.is_fast
        now = self._monotonic()
        started_at, cpu_seconds_at_start = self._window_start
        if self._ticks < WINDOW_TICKS or now - started_at < WINDOW_SECONDS:
            return
        self._ticks = 0
        cpu_seconds = self._cpu()
        share = (cpu_seconds - cpu_seconds_at_start) / max(1e-9, now - started_at)
        self._window_start = (now, cpu_seconds)
        totals = {running.name: running.cpu_seconds for running in collectors}
        recent = {name: total - self._cpu_seconds.get(name, 0.0) for name, total in totals.items()}
        self._cpu_seconds = totals
        was_fast, self._was_fast = self._was_fast, False
        if share > self._cpu_limit and was_fast:
            self._pace.slow_down()
        elif share > self._cpu_limit:
            self._calm_windows = 0
            self._slow_down(collectors, recent, share)
        elif share < self._cpu_limit / 2:
            self._calm_windows += 1
            if self._calm_windows >= CALM_WINDOWS:
                self._calm_windows = 0
                self._speed_up(collectors)
        self._check_memory()

    def _slow_down(self, collectors: Sequence[Costly], recent: dict[str, float], share: float) -> None:
        candidates = [running for running in collectors if running.interval_factor < MAX_INTERVAL_FACTOR]
        if not candidates:
            self._log.problem(
                "cpu limit", f"The agent uses {share:.1%} of a core, and no collector can be slowed down further."
            )
            return
        costliest = max(candidates, key=lambda running: recent[running.name])
        costliest.interval_factor *= 2
        self._stats.slowed[costliest.name] = costliest.interval_factor
        self._log.problem(
            f"slowed {costliest.name}",
            f"The agent uses {share:.1%} of a core, more than its limit of {self._cpu_limit:.1%}: "
            f"the collector {costliest.name} runs less often.",
        )

    def _speed_up(self, collectors: Sequence[Costly]) -> None:
        slowed = [running for running in collectors if running.interval_factor > 1]
        if not slowed:
            return
        slowest = max(slowed, key=lambda running: running.interval_factor)
        slowest.interval_factor //= 2
        self._stats.slowed[slowest.name] = slowest.interval_factor
        if slowest.interval_factor == 1:
            self._log.resolved(
                f"slowed {slowest.name}", f"The collector {slowest.name} runs as often as configured again."
            )

    def _check_memory(self) -> None:
        resident = self._resident()
        if resident > self._memory_limit_bytes:
            self._log.problem(
                "memory limit",
                f"The agent uses {format_bytes(resident)} of memory, more than its limit of "
                f"{format_bytes(self._memory_limit_bytes)}.",
            )
        else:
            self._log.resolved("memory limit", "The agent's memory is within its limit again.")
