"""The system as a whole: uptime, users, processes, file handles, pressure and entropy."""

import numpy as np

from bongsu.arrays import Values
from bongsu.core.series import Series
from bongsu.simulator.moment import Moment
from bongsu.simulator.readings.base import Readings, counter, gauge
from bongsu.simulator.readings.cpu import busy_share, storm_seconds, storm_tasks
from bongsu.simulator.replay import MICROSECOND

_FILE_HANDLE_LIMIT = 9_223_372_036_854_775_807.0
_ENTROPY_BITS = 256.0
# How much of the time in which something is busy, tasks wait for it.
_CPU_PRESSURE, _IO_PRESSURE, _IO_FULL_PRESSURE = 0.12, 0.5, 0.4

_STORM_PRESSURE = 0.8
# Tasks are counted at once, not averaged as a load is.
_COUNTED_SECONDS = 0.001


class SystemReadings(Readings):
    def series(self) -> list[Series]:
        gauges = ("system_uptime_seconds", "system_users", "processes_running", "processes_blocked", "system_threads")
        more = ("system_file_handles", "system_file_handles_limit", "system_entropy_bits")
        return [
            *map(gauge, (*gauges, *more)),
            counter("processes_started_total"),
            counter("pressure_some_seconds_total", resource="cpu"),
            counter("pressure_some_seconds_total", resource="memory"),
            counter("pressure_full_seconds_total", resource="memory"),
            counter("pressure_some_seconds_total", resource="io"),
            counter("pressure_full_seconds_total", resource="io"),
        ]

    def fill(self, out: Values, at: Moment) -> None:
        machine = self.machine
        tasks = at.level("tasks")
        running = machine.cores * busy_share(at) * at.load * at.level("load_1m")
        programs = sum(program.threads * program.count for program in machine.role.programs)
        share = busy_share(at) * MICROSECOND
        waited = _IO_PRESSURE * share * at.total("iowait")[1:]
        out[:, 0] = np.floor(at.seconds[1:])
        out[:, 1] = np.floor(tasks * 1.6)
        out[:, 2] = 1.0 + np.floor(running + storm_tasks(at, _COUNTED_SECONDS))
        out[:, 3] = np.floor(2.2 * at.level("buffers") * tasks)
        out[:, 4] = 140.0 + 2.0 * programs + np.floor(90.0 * tasks)
        out[:, 5] = 1_100.0 + np.floor(machine.role.connections * at.load) + 32.0 * machine.cores
        out[:, 6] = _FILE_HANDLE_LIMIT
        out[:, 7] = _ENTROPY_BITS
        out[:, 8] = np.floor(at.flow("context_switches", 2.4 * machine.strength))[1:]
        out[:, 9] = _CPU_PRESSURE * share * at.total("user")[1:] + _STORM_PRESSURE * storm_seconds(at)[1:]
        out[:, 10:12] = 0.0
        out[:, 12] = waited
        out[:, 13] = _IO_FULL_PRESSURE / _IO_PRESSURE * waited
