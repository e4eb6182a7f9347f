"""Runs collectors with a time limit each.

One thread runs them in turn. Python cannot kill a thread, so if a collector exceeds its limit, its thread is abandoned
to it and a new thread runs the rest. The collector is skipped until the old thread returns. So a healthy agent has one
such thread, and an agent with N hanging collectors has N + 1.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bongsu.agent.collectors.base import Collector, Reading

TIMEOUT_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class RunningCollector:
    """A collector and how it behaves. ``interval_factor``: it runs at every n-th tick at which it is due."""

    collector: Collector
    timeout_seconds: float = TIMEOUT_SECONDS
    hanging: bool = False
    runs: int = 0
    cpu_seconds: float = 0.0
    interval_factor: int = 1
    due_ticks: int = 0

    @property
    def name(self) -> str:
        return self.collector.name


@dataclass(slots=True)
class RunResult:
    """``readings`` include those before an error. ``error`` is empty if the run succeeded."""

    running: RunningCollector
    readings: list[Reading] = field(default_factory=list)
    error: str = ""


class _Round:
    """The collectors of one tick. The runner's condition guards it."""

    def __init__(self, collectors: Iterable[RunningCollector]) -> None:
        self.waiting = deque(collectors)
        self.current: RunningCollector | None = None
        self.current_since = 0.0
        self.results: list[RunResult] = []


class CollectorRunner:
    """Only one thread at a time may call ``run``."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._round: _Round | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def run(self, collectors: Iterable[RunningCollector]) -> list[RunResult]:
        """Runs all collectors that do not hang. Returns when each has ended or exceeded its limit."""
        this_round = _Round(running for running in collectors if not running.hanging)
        with self._changed:
            self._round = this_round
            if self._thread is None:
                self._start_thread()
            self._changed.notify_all()
            while this_round.waiting or this_round.current is not None:
                running = this_round.current
                if running is None:
                    self._changed.wait(1.0)
                    continue
                remaining = this_round.current_since + running.timeout_seconds - time.monotonic()
                if remaining > 0:
                    self._changed.wait(remaining)
                    continue
                running.hanging = True
                this_round.current = None
                this_round.results.append(
                    RunResult(running, error=f"does not answer within {running.timeout_seconds:g} s")
                )
                self._start_thread()
            self._round = None
        return this_round.results

    def stop(self) -> None:
        """Ends the thread when its collector returns. Does not wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="bongsu-collect", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        this_thread = threading.current_thread()
        with self._changed:
            while not self._stopping and self._thread is this_thread:
                this_round = self._round
                if this_round is None or not this_round.waiting:
                    self._changed.wait()
                    continue
                running = this_round.current = this_round.waiting.popleft()
                this_round.current_since = time.monotonic()
                self._changed.notify_all()
                self._changed.release()
                try:
                    result = _run(running)
                finally:
                    self._changed.acquire()
                if self._thread is this_thread:
                    this_round.current = None
                    this_round.results.append(result)
                    self._changed.notify_all()
                else:  # this thread was abandoned, and its collector has returned at last
                    running.hanging = False


def _run(running: RunningCollector) -> RunResult:
    readings: list[Reading] = []
    error = ""
    started = time.thread_time()
    try:
        for reading in running.collector.collect():
            readings.append(reading)
    except Exception as problem:  # whatever fails in a collector, the others go on
        error = f"{type(problem).__name__}: {problem}"
    running.cpu_seconds += time.thread_time() - started
    running.runs += 1
    return RunResult(running, readings, error)
