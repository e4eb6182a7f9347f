"""``bongsu agent run``: runs the agent until SIGTERM or SIGINT.

SIGHUP reloads the configuration. If it is wrong, the agent logs the error and goes on with the old one. With
``BONGSU_SUPERVISED=1``, standard input is a pipe that the parent process holds; the agent also stops when it closes.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType

# Not used here, but imported first: later imports reuse the memory that importing psutil frees, which saves 1 MB.
import psutil  # noqa: F401

from bongsu.agent.config import load
from bongsu.agent.daemon import Agent
from bongsu.agent.data_dir import lock_data_dir
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.identity import load_identity, machine_id
from bongsu.agent.stats import Stats
from bongsu.agent.wiring import make_log
from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError


class StopOrReload(threading.Event):
    """Set when a signal asks the agent to stop or to reload, or when the next tick comes sooner. Signal handlers run in
    the main thread, which waits on it."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = self.reload = False

    def request_stop(self) -> None:
        self.stop = True
        self.set()

    def request_reload(self) -> None:
        self.reload = True
        self.set()

    def nudge(self) -> None:
        self.set()

    def wait(self, seconds: float | None = None) -> bool:
        super().wait(seconds)
        # clear first, or a stop that arrives in between would be lost
        self.clear()
        return self.stop or self.reload


def run(file: str, flags: Mapping[str, str]) -> int:
    """Returns 0 after a clean stop. Raises ConfigError only while it starts."""
    event = StopOrReload()
    _install_handlers(event)
    config = load(file=file, flags=flags)
    identity = load_identity(config.data_dir, machine_id())
    lock = lock_data_dir(config.data_dir)
    log = make_log(config)
    if identity.notice:
        log.info(identity.notice)
    stats = Stats()
    backlog = Backlog(
        os.path.join(config.data_dir, "buffer"),
        max_bytes=config.buffer_bytes,
        max_age_ms=config.buffer_age_ms,
        clock=SystemClock(),
        log=log,
    )
    try:
        agent = Agent(config, identity.agent_id, backlog, stats, log)
        while True:
            agent.run(event)
            if event.stop:
                backlog.close()
                return 0
            event.reload = False
            try:
                new_config = load(file=file, flags=flags)
                agent = Agent(new_config, identity.agent_id, backlog, stats, make_log(new_config))
                config = new_config
                agent.log.info("The configuration was reloaded.")
            except BongsuError as error:
                log.error(f"The new configuration is wrong, so the old one stays in use: {error}")
                agent = Agent(config, identity.agent_id, backlog, stats, log)
    finally:
        os.close(lock)


def _install_handlers(event: StopOrReload) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        event.request_stop()

    def reload(number: int, frame: FrameType | None) -> None:
        event.request_reload()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, reload)
    if os.environ.get("BONGSU_SUPERVISED") == "1":
        threading.Thread(target=_stop_with_parent, args=(event,), name="bongsu-parent", daemon=True).start()


def _stop_with_parent(event: StopOrReload) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        continue
    event.request_stop()
