"""Makes the collectors that the configuration asks for."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from bongsu import __version__
from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.collectors.base import Collector, Options
from bongsu.agent.config import CollectorConfig, Config
from bongsu.agent.stats import Stats
from bongsu.core.errors import ConfigError

NAMES = tuple(collector.name for collector in COLLECTORS)


def collectors(
    config: Config, note: Callable[[str, str], None], complain: Callable[[str, str], None], stats: Stats | None = None
) -> list[tuple[Collector, int]]:
    """The enabled collectors with their interval in ms (0: the agent's). One that this machine cannot have is left
    out."""
    # psutil warns about each field that a kernel does not have; the collectors leave those out
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="psutil")
    made: list[tuple[Collector, int]] = []
    for kind in COLLECTORS:
        own = config.collectors.get(kind.name, CollectorConfig())
        enabled = getattr(kind, "enabled", True) if own.enabled is None else own.enabled
        if not enabled:
            continue
        values = {**own.settings, "stats": stats, "tags": config.tags, "version": __version__}
        if stats is None:  # a command that a person calls beside the running agent, which has the port
            values.pop("statsd", None)
        options = Options(own.filters, values, proc=psutil.PROCFS_PATH, note=note)
        try:
            collector: Any = kind(psutil, options)
        except ConfigError:
            raise
        except Exception as error:  # a driver that is half there; the other collectors go on
            complain(f"collector {kind.name}", f"Collector {kind.name} cannot start: {error}")
            continue
        made.append((collector, own.interval_ms or getattr(kind, "interval_seconds", 0) * 1000))
    return made


def close(made: Iterable[Collector]) -> None:
    """Ends what collectors have running: sockets, scripts."""
    for collector in made:
        end = getattr(collector, "close", None)
        if end is not None:
            end()
