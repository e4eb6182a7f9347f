"""Scrapes targets in threads of its own, so that no target delays a sample of the host or another target.

The scheduler tells each of its ticks, and targets are scraped at the ticks that are multiples of their interval. As a
rule one thread scrapes all of them in turn. If a target has waited for ``HELP_SECONDS``, as another one takes long, a
second thread helps, and so on, up to ``MAX_THREADS``: each target that does not answer holds one of them until its
timeout. Threads that are not needed any more end. A target that is still being scraped, or waits for it, when it is due
again is skipped, and that is counted.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bongsu.agent.log import EventLog
from bongsu.agent.scrape.target import Target
from bongsu.agent.stats import Stats
from bongsu.core.samples import Frame
from bongsu.core.series import Layout

HELP_SECONDS = 0.1
# The service has room for 64 tasks.
MAX_THREADS = 32


class _Due(NamedTuple):
    """``stamp_ms``: the time of the frame; ``queued_at``: by the monotonic clock."""

    target: Target
    stamp_ms: int
    queued_at: float


class Scraper:
    """``sink`` takes the frames, in the threads of the scraper."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        sink: Callable[[Frame, Layout], None],
        log: EventLog,
        stats: Stats,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.targets = targets
        self._sink = sink
        self._log = log
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._queue: deque[_Due] = deque()
        self._threads = 0
        self._busy = 0
        self._idle = 0
        self._stopping = False
        # Held while frames are handed over, so that none are after ``stop``.
        self._handing_over = threading.Lock()
        # Set once: other threads read it while the scraper changes its values.
        stats.targets = {target.name: target.stats for target in targets}

    def tick(self, time_ms: int, stamp_ms: int) -> None:
        """Scrapes the targets that are due at a tick, soon. ``stamp_ms``: the time of their frames."""
        with self._changed:
            if self._stopping:
                return
            for target in self.targets:
                if not target.is_due(time_ms):
                    continue
                if target.busy:
                    target.stats.skipped_scrapes += 1
                    target.hanging = True
                    continue
                target.busy = True
                self._queue.append(_Due(target, stamp_ms, self._monotonic()))
            if self._queue and not self._idle:
                self._start_thread()
            self._changed.notify_all()

    def stop(self, within_seconds: float) -> None:
        """Stops scraping. When it returns, no more frames come."""
        with self._changed:
            self._stopping = True
            self._queue.clear()
            self._changed.notify_all()
        for target in self.targets:
            target.abort()
        deadline = self._monotonic() + within_seconds
        with self._changed:
            while self._busy and (remaining := deadline - self._monotonic()) > 0:
                self._changed.wait(remaining)
            if not self._busy:
                for target in self.targets:
                    target.close()
        # A scrape that goes on none the less cannot hand over its frames any more.
        with self._handing_over:
            return

    def _start_thread(self) -> None:
        if self._threads >= MAX_THREADS:
            return
        try:
            threading.Thread(target=self._run, name="bongsu-scrape", daemon=True).start()
        except RuntimeError as error:  # the machine has no room for another; those that run go on
            self._log.problem("scrape threads", f"No further thread can scrape targets: {error}.")
        else:
            self._threads += 1

    def _run(self) -> None:
        with self._changed:
            try:
                self._loop()
            finally:
                self._threads -= 1

    def _loop(self) -> None:
        """Scrapes what waits, until the thread is not needed. Its caller holds ``_changed``."""
        while not self._stopping:
            wait: float | None = None
            if self._queue:
                waited = self._monotonic() - self._queue[0].queued_at
                # While others are busy, one of them will probably be free soon.
                wait = HELP_SECONDS - waited if self._busy else 0.0
            if wait is None or wait > 0:
                if self._idle:
                    return  # one spare thread is enough
                self._idle += 1
                self._changed.wait(wait)
                self._idle -= 1
                continue
            due = self._queue.popleft()
            self._busy += 1
            if self._queue and not self._idle:
                self._start_thread()
            self._changed.release()
            try:
                self._scrape(due)
            finally:
                self._changed.acquire()
                self._busy -= 1
                due.target.busy = due.target.hanging = False
                self._changed.notify_all()

    def _scrape(self, due: _Due) -> None:
        try:
            self._scrape_and_send(due)
        except Exception as error:  # whatever it is, the thread goes on with the next target
            topic = f"target {due.target.name}"
            self._log.problem(topic, f"Target {due.target.name}: {type(error).__name__}: {error}")

    def _scrape_and_send(self, due: _Due) -> None:
        target = due.target
        frames = target.scrape(due.stamp_ms)
        with self._handing_over:
            if self._stopping:
                return
            for frame, layout in frames:
                self._sink(frame, layout)
        stats, topic = target.stats, f"target {target.name}"
        if stats.last_error:
            self._log.problem(topic, f"Target {target.name}: {stats.last_error}")
        else:
            self._log.resolved(topic, f"Target {target.name} can be scraped again.")
        if stats.unsendable:
            self._log.problem(f"samples {topic}", f"Target {target.name}: samples are left out: {stats.unsendable}.")
        elif not stats.last_error:
            self._log.resolved(f"samples {topic}", f"Target {target.name}: no samples are left out any more.")
