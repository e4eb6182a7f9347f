"""``bongsu agent top``: shows this machine live in the terminal, with the collectors that the agent uses."""

import sys
import time
from collections.abc import Mapping

import psutil

from bongsu.agent.commands.top_readings import TopReader
from bongsu.agent.commands.top_screen import screen
from bongsu.agent.config import load
from bongsu.agent.wiring import make_collectors
from bongsu.core.errors import ConfigError

REFRESH_SECONDS = 1.0


def top(file: str, flags: Mapping[str, str]) -> int:
    """Runs until Ctrl-C. Raises ConfigError without a terminal or the package rich."""
    try:
        from rich.console import Console
        from rich.live import Live

        from bongsu.terminal.display import as_text
    except ImportError:
        raise ConfigError("top needs the package rich: pip install rich.") from None
    if not sys.stdout.isatty():
        raise ConfigError("top needs a terminal. 'bongsu agent once' needs none.")
    config = load(file=file, flags=flags)
    if psutil.LINUX and not psutil.pids():
        raise ConfigError(f"{psutil.PROCFS_PATH} shows no processes. Is it mounted?")
    reader = TopReader(collector for collector, _ in make_collectors(config, lambda topic, problem: None))
    console = Console()

    reader.read()  # the previous readings for usage and rates
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(as_text(screen(reader.read(), console.width, console.height)), refresh=True)
                time.sleep(REFRESH_SECONDS)
        except KeyboardInterrupt:
            return 0
