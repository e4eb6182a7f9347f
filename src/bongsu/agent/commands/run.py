"""``bongsu agent run``: wires the agent together and keeps it going until SIGTERM, SIGINT, or the end of a supervisor.

SIGHUP reads the configuration again; when it is wrong, the agent says so and goes on with the old one. With
``BONGSU_SUPERVISED=1`` standard input is a pipe that the parent holds: its end is the order to stop.
"""

import gc
import os
import signal
import socket
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from types import FrameType

import psutil

from bongsu import __version__
from bongsu.agent.collectors.agent import resident_bytes
from bongsu.agent.commands.status import write_status
from bongsu.agent.config import Config, load
from bongsu.agent.delivery.backlog import Backlog, lock
from bongsu.agent.delivery.credentials import Credentials
from bongsu.agent.delivery.http import Url
from bongsu.agent.delivery.sender import Sender
from bongsu.agent.delivery.transport import Transport
from bongsu.agent.identity import host_facts, load_identity, machine_mark
from bongsu.agent.log import Log
from bongsu.agent.sampling.cost_limiter import Limits
from bongsu.agent.sampling.runner import Job
from bongsu.agent.sampling.scheduler import Scheduler
from bongsu.agent.stats import Stats
from bongsu.agent.wiring import NAMES, close, collectors
from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError
from bongsu.core.samples import AgentIdentity, HostFacts

# A third of an interval spreads a fleet well enough and shows a value while it is fresh.
DELAY_SHARE = 0.3
LONGEST_DELAY_SECONDS = 5.0
STOP_SECONDS = 2.0
# `bongsu agent status` says how old what it shows is; more often would wear a memory card for nothing.
STATUS_MS = 60_000


class Wishes(threading.Event):
    """What signals ask for. Signal handlers run in the main thread, which is the one that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.reload = False
        self.stop = False

    def ask(self, *, reload: bool = False) -> None:
        if reload:
            self.reload = True
        else:
            self.stop = True
        self.set()

    def wait(self, seconds: float | None = None) -> bool:
        return super().wait(seconds)


def run(file: str, flags: Mapping[str, str]) -> int:
    """Returns 0 after a clean stop. Raises ConfigError at the start only."""
    wishes = Wishes()
    _listen(wishes)
    config = load(NAMES, file=file, flags=flags)
    identity = load_identity(config.data_dir, machine_mark())
    held = lock(config.data_dir)
    log = make_log(config)
    if identity.news:
        log.info(identity.news)
    stats = Stats()
    backlog = Backlog(
        os.path.join(config.data_dir, "buffer"),
        max_bytes=config.buffer_bytes,
        max_age_ms=config.buffer_age_ms,
        clock=SystemClock(),
        say=log,
    )
    try:
        agent = Agent(config, identity.agent_id, backlog, stats, log)
        while True:
            agent.run(wishes)
            if wishes.stop:
                backlog.close()
                return 0
            wishes.reload = False
            wishes.clear()
            try:
                changed = load(NAMES, file=file, flags=flags)
                agent = Agent(changed, identity.agent_id, backlog, stats, make_log(changed))
                config = changed
                agent.log.info("The configuration was read again.")
            except BongsuError as error:
                log.error(f"The configuration was not changed: {error}")
                agent = Agent(config, identity.agent_id, backlog, stats, log)
    finally:
        os.close(held)


class Agent:
    """One configuration at work."""

    def __init__(self, config: Config, agent_id: str, backlog: Backlog, stats: Stats, log: Log) -> None:
        self.log = log
        self._config = config
        self._agent_id = agent_id
        self._stats = stats
        self._facts = host_facts(psutil)
        self._sender = make_sender(config, agent_id, backlog, stats, log, lambda: self._facts)
        self._collectors = collectors(config, log.once, log.once, stats)
        self._limits = Limits(
            cpu=config.cpu_limit,
            memory_bytes=config.memory_limit_bytes,
            stats=stats,
            say=log,
            resident=resident_bytes,
        )
        self._scheduler = Scheduler(
            self._collectors,
            interval_ms=config.interval_ms,
            sink=self._sender.put,
            say=log,
            stats=stats,
            clock=SystemClock(),
            timeout_seconds=min(2.0, config.interval_ms / 2000),
            after_tick=self._after_tick,
        )

    def run(self, wishes: Wishes) -> None:
        """Until ``wishes`` says stop or reload; sends or keeps what is waiting before it returns."""
        self._sender.start()
        # What lives as long as the process need not be looked at by the garbage collector.
        gc.collect()
        gc.freeze()
        self._scheduler.run(wishes)
        close(collector for collector, _ in self._collectors)
        if not self._sender.stop(STOP_SECONDS):
            self.log.error("The server did not answer in time; the frames that were being sent may be lost.")

    def _after_tick(self, jobs: list[Job]) -> None:
        self._limits.check(jobs)
        if socket.gethostname() != self._facts.hostname:
            before, self._facts = self._facts.hostname, host_facts(psutil)
            self._sender.identify(_identity(self._config, self._agent_id, self._facts.hostname))
            self.log.info(f"This machine's name changed from {before} to {self._facts.hostname}.")
        if (self._stats.ticks - 1) % max(1, STATUS_MS // self._config.interval_ms) == 0:
            write_status(self._config, self._stats, jobs)


def make_log(config: Config) -> Log:
    return Log(
        level=config.log_level,
        path=config.log_file,
        form=config.log_format,
        max_bytes=config.log_bytes,
        files=config.log_files,
        secrets=(config.token, config.enrolment_token),
    )


def make_sender(
    config: Config, agent_id: str, backlog: Backlog, stats: Stats, log: Log, facts: Callable[[], HostFacts]
) -> Sender:
    transport = Transport(
        config.servers,
        credentials=make_credentials(config, agent_id),
        name=config.name or facts().hostname,
        version=__version__,
        proxy=config.proxy,
        ca_file=config.ca_file,
        server_name=config.server_name,
        timeout_seconds=config.timeout_ms / 1000,
    )
    return Sender(
        transport,
        backlog,
        identity=_identity(config, agent_id, facts().hostname),
        facts=facts,
        stats=stats,
        say=log,
        delay_seconds=delay_seconds(config, agent_id),
        replay_rate=config.replay_rate,
    )


def make_credentials(config: Config, agent_id: str) -> Credentials:
    return Credentials(
        agent_id,
        config.data_dir,
        token=config.token,
        token_file=config.token_file,
        enrolment_token=config.enrolment_token,
        enrolment_token_file=config.enrolment_token_file,
    )


def _identity(config: Config, agent_id: str, hostname: str) -> AgentIdentity:
    return AgentIdentity(agent_id, config.name or hostname, __version__, config.interval_ms, config.tags)


def delay_seconds(config: Config, agent_id: str) -> float:
    """Where in the interval this agent sends: the same each time. At once, if the server is on this machine and so has
    few agents."""
    if all(Url.parse(server).host in ("127.0.0.1", "localhost", "::1") for server in config.servers):
        return 0.0
    share = zlib.crc32(agent_id.encode()) / 2**32
    return share * min(LONGEST_DELAY_SECONDS, config.interval_ms / 1000 * DELAY_SHARE)


def _listen(wishes: Wishes) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        wishes.ask()

    def reload(number: int, frame: FrameType | None) -> None:
        wishes.ask(reload=True)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, reload)
    if os.environ.get("BONGSU_SUPERVISED") == "1":
        threading.Thread(target=_until_parent_ends, args=(wishes,), name="bongsu-parent", daemon=True).start()


def _until_parent_ends(wishes: Wishes) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        continue
    wishes.ask()
