"""systemd units by state."""

import os
import subprocess
from collections.abc import Iterable

from bongsu.agent.collectors.base import Collector, Filter, Gauge, Options, Ps, Reading

_STATES = ("active", "reloading", "inactive", "failed", "activating", "deactivating")
_COMMAND = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", "--type=service")


class SystemdCollector(Collector):
    """Number of services by state, and the services that failed.

    Source: ``systemctl list-units`` once a minute. It takes 5 to 20 ms in another process; systemd's bus protocol would
    need a library. Reports nothing if systemd does not run. Filter: ``units``, services to report by name in addition
    to those that have failed since the agent started.
    """

    name = "systemd"
    interval_seconds = 60
    filters = ("units",)
    metrics = (
        Gauge("systemd_units", "Services by state."),
        Gauge("systemd_unit_failed", "1 for a failed service, 0 for any other service that is reported by name."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, command: tuple[str, ...] = _COMMAND) -> None:
        super().__init__(ps, options)
        self._command = command
        # by default only failed services are reported by name
        self._reported_by_name = self._options.filters.get("units", Filter(exclude=("*",)))
        # They are reported by name after they have been mended too, so that it shows.
        self._have_failed: set[str] = set()
        # sd_booted(3)
        self._systemd_runs = command is not _COMMAND or os.path.isdir("/run/systemd/system")

    def collect(self) -> Iterable[Reading]:
        if not self._systemd_runs:
            return
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
        completed = subprocess.run(
            self._command, capture_output=True, timeout=5, env=environment, check=True, stdin=subprocess.DEVNULL
        )
        counts = dict.fromkeys(_STATES, 0)
        failed_before, self._have_failed = self._have_failed, set()
        for line in completed.stdout.decode(errors="replace").splitlines():
            # unit, load, active, sub, description
            columns = line.split(None, 4)
            if len(columns) < 4 or columns[1] == "not-found":
                continue
            unit, state = columns[0], columns[2]
            counts[state] = counts.get(state, 0) + 1
            if state == "failed" or unit in failed_before:
                self._have_failed.add(unit)
            if unit in self._have_failed or self._reported_by_name(unit):
                yield Reading("systemd_unit_failed", 1.0 if state == "failed" else 0.0, (("unit", unit),))
        for state, count in counts.items():
            yield Reading("systemd_units", count, (("state", state),))
