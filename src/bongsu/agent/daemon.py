"""The running agent: takes samples and sends them, with one configuration."""

import gc
import socket
import time
from collections.abc import Sequence

import psutil

from bongsu.agent.config import Config
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.identity import host_facts
from bongsu.agent.log import Log
from bongsu.agent.pace import Pace
from bongsu.agent.sampling.cost_limiter import CostLimiter
from bongsu.agent.sampling.runner import TIMEOUT_SECONDS, RunningCollector
from bongsu.agent.sampling.scheduler import Scheduler, Wakeup
from bongsu.agent.stats import Stats
from bongsu.agent.status_file import WRITE_INTERVAL_MS, write_status
from bongsu.agent.wiring import make_collectors, make_identity, make_scraper, make_sender
from bongsu.core.clock import SystemClock
from bongsu.core.text import visible

STOP_SECONDS = 2.0


class Agent:
    def __init__(self, config: Config, agent_id: str, backlog: Backlog, stats: Stats, log: Log) -> None:
        self.log = log
        self._config = config
        self._agent_id = agent_id
        self._stats = stats
        self._facts = host_facts(psutil)
        self._pace = Pace(config.interval_ms, config.watched_interval_ms)
        self._sender = make_sender(config, agent_id, backlog, stats, log, lambda: self._facts, self._pace)
        self._collectors = make_collectors(config, log.problem, stats)
        self._scraper = make_scraper(config, sink=self._sender.put, log=log, stats=stats)
        self._cost_limiter = CostLimiter(
            cpu_limit=config.cpu_limit,
            memory_limit_bytes=config.memory_limit_bytes,
            stats=stats,
            log=log,
            pace=self._pace,
        )
        # When the status is due, by the clock that never jumps.
        self._status_at = 0.0
        self._scheduler = Scheduler(
            self._collectors,
            interval_ms=config.interval_ms,
            sink=self._sender.put,
            log=log,
            stats=stats,
            clock=SystemClock(),
            timeout_seconds=min(TIMEOUT_SECONDS, config.interval_ms / 2000),
            before_tick=self._scraper.tick if self._scraper else lambda time_ms, stamp_ms: None,
            after_tick=self._after_tick,
            pace=self._pace,
        )

    def run(self, wakeup: Wakeup) -> None:
        """Runs until ``wakeup`` stops it. Before it returns, it sends or buffers all waiting frames."""
        self._pace.hurry = wakeup.nudge
        self._sender.start()
        # the garbage collector need not look at objects that live as long as the process
        gc.collect()
        gc.freeze()
        self._scheduler.run(wakeup)
        if self._scraper:
            self._scraper.stop(STOP_SECONDS / 4)
        for collector, _ in self._collectors:
            collector.close()
        if not self._sender.stop(STOP_SECONDS):
            self.log.error("The server did not respond in time; the frames that were being sent may be lost.")

    def _after_tick(self, collectors: Sequence[RunningCollector]) -> None:
        targets = self._scraper.targets if self._scraper else ()
        self._cost_limiter.check([*collectors, *targets])
        if visible(socket.gethostname()) != self._facts.hostname:
            old_name, self._facts = self._facts.hostname, host_facts(psutil)
            self._sender.identify(make_identity(self._config, self._agent_id, self._facts.hostname))
            self.log.info(f"The host name changed from {old_name} to {self._facts.hostname}.")
        if time.monotonic() >= self._status_at:
            # Ticks are not exactly an interval apart.
            self._status_at = time.monotonic() + (WRITE_INTERVAL_MS - self._config.interval_ms / 2) / 1000
            write_status(self._config, self._stats, [*collectors, *targets])
