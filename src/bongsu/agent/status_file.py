"""The status file: what the running agent does and costs, for ``bongsu agent status``.

The agent writes ``status.json`` into its data directory once a minute, with the time of writing, so that readers can
tell how old it is. The agent listens on no socket for this.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from bongsu.agent.config import Config
from bongsu.agent.stats import Stats, resident_bytes
from bongsu.core.errors import ConfigError
from bongsu.core.units import MINUTE_MS

# Writing more often would only wear a memory card.
WRITE_INTERVAL_MS = MINUTE_MS
_FILE = "status.json"
_STARTED_AT = time.monotonic()


class Running(Protocol):
    """What a collector or a scraped target costs."""

    @property
    def name(self) -> str: ...

    @property
    def runs(self) -> int: ...

    @property
    def cpu_seconds(self) -> float: ...

    @property
    def hanging(self) -> bool: ...


def write_status(config: Config, stats: Stats, collectors: Sequence[Running]) -> None:
    """Replaces the file in one step. If the disk is full, the old status stays."""
    content = {
        **asdict(stats),
        "pid": os.getpid(),
        "time": time.time(),
        "running_seconds": time.monotonic() - _STARTED_AT,
        "interval_ms": config.interval_ms,
        "servers": list(config.servers),
        "cpu_seconds": time.process_time(),
        "memory_bytes": resident_bytes(),
        "collectors": {
            running.name: {"runs": running.runs, "cpu_seconds": running.cpu_seconds, "hanging": running.hanging}
            for running in collectors
        },
    }
    path = os.path.join(config.data_dir, _FILE)
    try:
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(path + ".new", path)
    except OSError:
        return


def read_status(data_dir: str) -> dict[str, Any]:
    """Raises ConfigError if there is no status file, or it cannot be read."""
    path = os.path.join(data_dir, _FILE)
    try:
        with open(path, encoding="utf-8") as file:
            content: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        raise ConfigError(
            f"No agent has run with the data directory {data_dir}. Name another with --data-dir."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    return content
