"""The system as a whole: uptime, processes, users, file handles, pressure, entropy."""

import time
from collections.abc import Callable, Iterable

from bongsu.agent.collectors.base import Counter, Gauge, Labels, Options, Ps, Reading, read_bytes

_PRESSURE = ("cpu", "memory", "io", "irq")


class SystemCollector:
    """What does not belong to one device.

    Source: ``psutil`` for boot time and users; on Linux ``/proc/stat`` and ``/proc/loadavg`` for processes and
    threads, ``/proc/sys/fs/ file-nr``, ``/proc/pressure`` (kernel 4.20 and later, where it is switched on) and
    ``/proc/sys/kernel/random``. No process is looked at on its own; the ``processes`` collector does that.
    """

    name = "system"
    metrics = (
        Gauge("system_uptime_seconds", "Time since the system was started."),
        Gauge("system_users", "Sessions of logged-in users."),
        Gauge("processes_running", "Processes that run or wait for a core."),
        Gauge("processes_blocked", "Processes that wait for I/O and cannot be interrupted."),
        Gauge("system_threads", "Threads of all processes."),
        Counter("processes_started_total", "Processes and threads that were started."),
        Gauge("system_file_handles", "Open file handles."),
        Gauge("system_file_handles_limit", "Most file handles that may be open."),
        Gauge("system_entropy_bits", "Randomness that the kernel has gathered."),
        Counter("pressure_some_seconds_total", "Time in which at least one task waited for the resource."),
        Counter("pressure_full_seconds_total", "Time in which all tasks that had work waited for the resource."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, now: Callable[[], float] = time.time) -> None:
        options = options or Options()
        self._ps = ps
        self._proc = options.proc
        self._now = now
        self._labels: dict[str, Labels] = {name: (("resource", name),) for name in _PRESSURE}
        # the files that this kernel has; asking for the others each time would only cost
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
            yield from self._waited(name)

    def _waited(self, name: str) -> Iterable[Reading]:
        """``some avg10=0.00 avg60=0.00 avg300=0.00 total=123``, total in microseconds."""
        for line in read_bytes(f"{self._proc}/pressure/{name}").decode().splitlines():
            kind, _, rest = line.partition(" ")
            total = rest.rpartition("total=")[2]
            # for the CPU of the whole system "full" has no meaning and is always 0
            if kind in ("some", "full") and not (kind == "full" and name == "cpu"):
                yield Reading(f"pressure_{kind}_seconds_total", int(total) / 1e6, self._labels[name])

    def _has(self, name: str) -> bool:
        try:
            read_bytes(f"{self._proc}/{name}")
        except OSError:  # also when pressure is compiled in but switched off
            return False
        return True
