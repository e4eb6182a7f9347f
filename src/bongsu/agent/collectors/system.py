"""The system as a whole: uptime, users, processes, file handles, pressure and entropy."""

import time
from collections.abc import Callable, Iterable

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Labels, Options, Ps, Reading
from bongsu.agent.procfs import read_bytes

_PRESSURE = ("cpu", "memory", "io", "irq")


class SystemCollector(Collector):
    """Values that do not belong to one device.

    Source: ``psutil`` for boot time and users. On Linux also ``/proc/stat`` and ``/proc/loadavg`` for processes and
    threads, ``/proc/sys/fs/file-nr``, ``/proc/pressure`` (kernel 4.20 and later, if enabled) and
    ``/proc/sys/kernel/random``. The ``processes`` collector looks at single processes.
    """

    name = "system"
    metrics = (
        Gauge("system_uptime_seconds", "Time since the system was started."),
        Gauge("system_users", "Sessions of logged-in users."),
        Gauge("processes_running", "Processes running or waiting for a core."),
        Gauge("processes_blocked", "Processes in uninterruptible sleep, mostly waiting for I/O."),
        Gauge("system_threads", "Threads of all processes."),
        Counter("processes_started_total", "Processes and threads started."),
        Gauge("system_file_handles", "Open file handles."),
        Gauge("system_file_handles_limit", "Maximum number of open file handles."),
        Gauge("system_entropy_bits", "Entropy available to the kernel's random number generator."),
        Counter("pressure_some_seconds_total", "Time in which at least one task waited for the resource."),
        Counter("pressure_full_seconds_total", "Time in which all non-idle tasks waited for the resource."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(ps, options)
        self._proc = self._options.proc
        self._now = now
        self._labels: dict[str, Labels] = {name: (("resource", name),) for name in _PRESSURE}
        # only the files that this kernel has, so that no tick tries the others
        self._pressure = [name for name in _PRESSURE if self._has(f"pressure/{name}")]

    def collect(self) -> Iterable[Reading]:
        yield Reading("system_uptime_seconds", max(0.0, self._now() - self._ps.boot_time()))
        yield Reading("system_users", len(self._ps.users()))
        if not self._has("stat"):  # not Linux
            return
        for line in read_bytes(f"{self._proc}/stat").splitlines():
            word, _, value = line.partition(b" ")
            if word == b"procs_running":
                yield Reading("processes_running", int(value))
            elif word == b"procs_blocked":
                yield Reading("processes_blocked", int(value))
            elif word == b"processes":
                yield Reading("processes_started_total", int(value))
        # 0.00 0.01 0.05 1/123 4567
        tasks = read_bytes(f"{self._proc}/loadavg").split()[3].partition(b"/")[2]
        yield Reading("system_threads", int(tasks))
        if self._has("sys/fs/file-nr"):
            used, _, limit = read_bytes(f"{self._proc}/sys/fs/file-nr").split()
            yield Reading("system_file_handles", int(used))
            yield Reading("system_file_handles_limit", int(limit))
        if self._has("sys/kernel/random/entropy_avail"):
            yield Reading("system_entropy_bits", int(read_bytes(f"{self._proc}/sys/kernel/random/entropy_avail")))
        for name in self._pressure:
            yield from self._pressure_seconds(name)

    def _pressure_seconds(self, name: str) -> Iterable[Reading]:
        """Parses ``some avg10=0.00 avg60=0.00 avg300=0.00 total=123``; ``total`` is in microseconds."""
        for line in read_bytes(f"{self._proc}/pressure/{name}").decode().splitlines():
            scope, _, rest = line.partition(" ")
            total = rest.rpartition("total=")[2]
            # for the CPU of the whole system, "full" is undefined and always 0
            if scope in ("some", "full") and not (scope == "full" and name == "cpu"):
                yield Reading(f"pressure_{scope}_seconds_total", int(total) / 1e6, self._labels[name])

    def _has(self, name: str) -> bool:
        try:
            read_bytes(f"{self._proc}/{name}")
        except OSError:  # also if pressure is compiled in but disabled
            return False
        return True
