"""The processes of a simulated machine that use most CPU and memory."""

import numpy as np

from bongsu.core.samples import Process, ProcessList
from bongsu.simulator.machine import Machine
from bongsu.simulator.moment import Moment, moment
from bongsu.simulator.readings.cpu import seconds_by_mode, storm_seconds
from bongsu.simulator.readings.memory import leaked_share, used_share
from bongsu.simulator.roles import MIB, Program
from bongsu.simulator.trouble import Kind

# Once a minute, as agents do.
INTERVAL_MS = 60_000
# Every machine has them: name, user, part of the CPU time, memory in MiB, threads.
_DAEMONS = (
    ("systemd", "root", 0.002, 14.0, 1),
    ("systemd-journal", "root", 0.012, 38.0, 1),
    ("sshd", "root", 0.0004, 9.0, 1),
    ("cron", "root", 0.0005, 3.0, 1),
    ("bongsu", "bongsu", 0.003, 24.0, 3),
    ("kworker/0:1", "root", 0.006, 0.0, 1),
    ("chronyd", "_chrony", 0.0003, 4.0, 1),
)
_FIRST_PID = 700
# What runs away in a CPU storm: above all other process ids.
_RUNAWAY, _RUNAWAY_PID = "ffmpeg", 61_440
# Programs were started so long after the machine.
_START_MS = 4_000


class Processes:
    """The process lists of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        random = np.random.default_rng(machine.index)
        self._pids = [1, *(_FIRST_PID + np.cumsum(random.integers(1, 900, size=64))).tolist()]

    def at(self, time_ms: int) -> ProcessList:
        """The list at this time; the CPU is that of the minute before."""
        machine = self._machine
        then = moment(machine, time_ms, 1, INTERVAL_MS)
        busy = sum(float(then.rate(seconds)[0]) for mode, seconds in seconds_by_mode(then).items() if mode != "iowait")
        used_bytes = machine.facts.memory_total_bytes * float(used_share(then)[0])
        started_ms = machine.facts.boot_time_ms + _START_MS
        pids = iter(self._pids)
        processes = [
            Process(next(pids), name, user, round(busy * share, 4), int(mib * MIB), threads, started_ms)
            for name, user, share, mib, threads in _DAEMONS
        ]
        unevenness = then.source.skew(then.position + np.arange(16.0))
        leaked_bytes = machine.facts.memory_total_bytes * float(np.sum(leaked_share(then)))
        for program in machine.role.programs:
            for number in range(program.count):
                share = 1.0 + 0.5 * float(unevenness[number])
                process = self._process(program, next(pids), share * busy * machine.cores, used_bytes)
                # The first program is the one that leaks.
                processes.append(process._replace(memory_bytes=process.memory_bytes + int(leaked_bytes)))
                leaked_bytes = 0.0
        processes += self._runaway(then, sum(process.cpu_ratio for process in processes))
        processes.sort(key=lambda process: (-process.cpu_ratio, -process.memory_bytes))
        return ProcessList(time_ms, processes)

    def _runaway(self, then: Moment, others: float) -> list[Process]:
        """The program of each CPU storm. ``others``: the cores that others use, which are a little uneven."""
        cores = self._machine.cores * float(then.rate(storm_seconds(then))[0])
        cores = max(0.0, min(cores, 0.99 * self._machine.cores - others))
        end_seconds = then.unix[-1]
        return [
            Process(
                _RUNAWAY_PID + number, _RUNAWAY, "app", round(cores, 4), 96 * MIB, self._machine.cores, storm.start_ms
            )
            for number, storm in enumerate(then.troubles(Kind.CPU_STORM))
            if storm.start_ms / 1000 < end_seconds and storm.end_ms / 1000 > end_seconds - then.interval
        ]

    def _process(self, program: Program, pid: int, busy_cores: float, used_bytes: float) -> Process:
        return Process(
            pid,
            program.name,
            program.user,
            round(busy_cores * program.busy / program.count, 4),
            int(used_bytes * program.memory / program.count),
            program.threads,
            self._machine.facts.boot_time_ms + _START_MS,
        )
