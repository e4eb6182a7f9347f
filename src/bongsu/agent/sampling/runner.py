"""Runs collectors with a time limit each.

One thread runs them one after another. Python cannot end a thread, so when a collector overruns its limit that thread
is left to it and a new one goes on with the rest; the collector is skipped until the old thread is back. So a healthy
agent has one such thread, and an agent with N hanging collectors N + 1.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bongsu.agent.collectors.base import Collector, Reading


@dataclass(slots=True, eq=False)
class Job:
    """A collector with what is known about how it behaves. ``every``: it runs at every so-manieth of its ticks."""

    collector: Collector
    timeout_seconds: float = 2.0
    hanging: bool = False
    runs: int = 0
    cpu_seconds: float = 0.0
    every: int = 1
    turn: int = 0


@dataclass(slots=True)
class Result:
    """``readings``: also what came before an error. ``error``: what to tell people, empty when all is well."""

    job: Job
    readings: list[Reading] = field(default_factory=list)
    error: str = ""


class _Round:
    """The collectors of one tick. Guarded by the worker's condition."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.waiting = deque(jobs)
        self.running: Job | None = None
        self.running_since = 0.0
        self.results: list[Result] = []


class Worker:
    """See the module. ``run`` is called by one thread at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._round: _Round | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.recovered: deque[Job] = deque()

    def run(self, jobs: Iterable[Job]) -> list[Result]:
        """Runs all jobs that do not hang, and returns when each has ended or overrun its limit."""
        work = _Round(job for job in jobs if not job.hanging)
        with self._changed:
            self._round = work
            if self._thread is None:
                self._start()
            self._changed.notify_all()
            while work.waiting or work.running is not None:
                if work.running is None:
                    self._changed.wait(1.0)
                    continue
                job = work.running
                left = work.running_since + job.timeout_seconds - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                job.hanging = True
                work.running = None
                work.results.append(Result(job, error=f"does not answer within {job.timeout_seconds:g} s"))
                self._start()
            self._round = None
        return work.results

    def stop(self) -> None:
        """Ends the thread once its collector returns; does not wait."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="bongsu-collect", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        me = threading.current_thread()
        with self._changed:
            while not self._stopping and self._thread is me:
                work = self._round
                if work is None or not work.waiting:
                    self._changed.wait()
                    continue
                job = work.running = work.waiting.popleft()
                work.running_since = time.monotonic()
                self._changed.notify_all()
                self._changed.release()
                try:
                    result = _collect(job)
                finally:
                    self._changed.acquire()
                if self._thread is me:
                    work.running = None
                    work.results.append(result)
                    self._changed.notify_all()
                else:
                    job.hanging = False
                    self.recovered.append(job)


def _collect(job: Job) -> Result:
    readings: list[Reading] = []
    error = ""
    started = time.thread_time()
    try:
        for reading in job.collector.collect():
            readings.append(reading)
    except Exception as problem:  # a collector may fail in any way; the others go on
        error = f"{type(problem).__name__}: {problem}"
    job.cpu_seconds += time.thread_time() - started
    job.runs += 1
    return Result(job, readings, error)
