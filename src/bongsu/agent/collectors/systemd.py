"""systemd units by state."""

import os
import subprocess
from collections.abc import Iterable

from bongsu.agent.collectors.base import Filter, Gauge, Options, Ps, Reading

_STATES = ("active", "reloading", "inactive", "failed", "activating", "deactivating")
_COMMAND = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", "--type=service")


class SystemdCollector:
    """How many services are in which state, and which failed.

    Source: ``systemctl list-units`` once a minute (5 to 20 ms of another process; systemd's own bus protocol would
    need a library). Where systemd does not run, nothing. Filter ``units``: services to report one by one, besides
    those that failed.
    """

    name = "systemd"
    interval_seconds = 60
    metrics = (
        Gauge("systemd_units", "Services by state."),
        Gauge("systemd_unit_failed", "1 for a service that failed, 0 for one that was asked for by name and did not."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, command: tuple[str, ...] = _COMMAND) -> None:
        options = options or Options()
        self._command = command
        # by default none is reported by name, unless it failed
        self._named = options.filters.get("units", Filter(exclude=("*",)))
        # sd_booted(3)
        self._runs = command is not _COMMAND or os.path.isdir("/run/systemd/system")

    def collect(self) -> Iterable[Reading]:
        if not self._runs:
            return
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
        done = subprocess.run(
            self._command, capture_output=True, timeout=5, env=environment, check=True, stdin=subprocess.DEVNULL
        )
        counts = dict.fromkeys(_STATES, 0)
        for line in done.stdout.decode(errors="replace").splitlines():
            # unit, load, active, sub, description
            words = line.split(None, 4)
            if len(words) < 4 or words[1] == "not-found":
                continue
            unit, state = words[0], words[2]
            counts[state] = counts.get(state, 0) + 1
            if state == "failed" or self._named(unit):
                yield Reading("systemd_unit_failed", 1.0 if state == "failed" else 0.0, (("unit", unit),))
        for state, count in counts.items():
            yield Reading("systemd_units", count, (("state", state),))
