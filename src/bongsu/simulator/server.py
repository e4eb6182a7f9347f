"""A simulated server: the frames and process lists of one machine at any time."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from bongsu import __version__
from bongsu.arrays import Values
from bongsu.core.samples import AgentIdentity, Frame, ProcessList
from bongsu.core.series import Layout, Series
from bongsu.simulator.machine import Machine, make_machine
from bongsu.simulator.moment import moment
from bongsu.simulator.processes import INTERVAL_MS as LIST_INTERVAL_MS
from bongsu.simulator.processes import Processes
from bongsu.simulator.readings import READINGS
from bongsu.simulator.trouble import Kind, Trouble, shift_ms

# A frame alone takes 0.3 ms, most of it the calls of numpy; with twelve at a time, each takes a tenth. They wait in
# memory: 12 KB a server.
AHEAD = 12


# Machines of one shape share their layout: 20,000 of their own would take a gigabyte.
@lru_cache(maxsize=4_096)
def _layout_of(series: tuple[Series, ...]) -> Layout:
    return Layout.of(series)


class SimulatedServer:
    """Frames and process lists depend on nothing but the time: they can be asked for again, in any order."""

    def __init__(
        self, index: int, *, seed: int, interval_ms: int, prefix: str = "", troubles: tuple[Trouble, ...] = ()
    ) -> None:
        self.machine: Machine = make_machine(index, seed=seed, prefix=prefix, troubles=troubles)
        self.interval_ms = interval_ms
        self._readings = [readings(self.machine) for readings in READINGS]
        series = [readings.series() for readings in self._readings]
        self.layout = _layout_of(tuple(one for part in series for one in part))
        ends = np.cumsum([0, *map(len, series)]).tolist()
        self._places = [slice(start, end) for start, end in pairwise(ends)]
        self._processes = Processes(self.machine)
        self._ahead: Values = np.empty((0, len(self.layout.series)))
        self._ahead_ms = 0

    @property
    def name(self) -> str:
        """What people see."""
        return self.machine.name

    def identity(self, agent_id: str) -> AgentIdentity:
        """With name, tags and interval."""
        return AgentIdentity(agent_id, self.name, __version__, self.interval_ms, self.machine.tags)

    def stamp(self, time_ms: int) -> int:
        """This time on the clock of the server."""
        return time_ms + shift_ms(self.machine.troubles, time_ms)

    def within(self, kind: Kind, time_ms: int) -> Trouble | None:
        """What of this kind the server is in at this time."""
        return next((one for one in self.machine.troubles if one.kind is kind and time_ms in one), None)

    def ticks_until_down(self, first_ms: int, count: int) -> int:
        """How many of ``count`` ticks from ``first_ms`` on come before the server is down."""
        for trouble in self.machine.troubles:
            if trouble.kind is Kind.SERVER_DOWN and trouble.start_ms >= first_ms:
                count = min(count, -(-(trouble.start_ms - first_ms) // self.interval_ms))
        return count

    def values(self, first_ms: int, count: int, interval_ms: int = 0) -> Values:
        """(count, series) one row for each tick from ``first_ms`` on. ``interval_ms`` 0: the server's own."""
        at = moment(self.machine, first_ms, count, interval_ms or self.interval_ms)
        out = np.empty((count, len(self.layout.series)), dtype="<f8")
        for readings, place in zip(self._readings, self._places, strict=True):
            readings.fill(out[:, place], at)
        return out

    def frames(self, first_ms: int, count: int) -> list[Frame]:
        """``count`` frames from ``first_ms`` on."""
        rows = self._next_row(first_ms) if count == 1 else self.values(first_ms, count)
        return [
            Frame(self.layout.id, self.stamp(first_ms + number * self.interval_ms), row.tobytes())
            for number, row in enumerate(rows)
        ]

    def extra_frame(self, time_ms: int, interval_ms: int) -> Frame:
        """A frame between two ticks, with averages over this interval."""
        return Frame(self.layout.id, self.stamp(time_ms), self.values(time_ms, 1, interval_ms).tobytes())

    def _next_row(self, time_ms: int) -> Values:
        place, rest = divmod(time_ms - self._ahead_ms, self.interval_ms)
        if rest or not 0 <= place < len(self._ahead):
            self._ahead, self._ahead_ms, place = self.values(time_ms, AHEAD), time_ms, 0
        return self._ahead[place : place + 1]

    def process_lists(self, first_ms: int, count: int) -> list[ProcessList]:
        """The lists of ``count`` ticks from ``first_ms`` on: one at the first tick of each minute."""
        ticks = range(first_ms, first_ms + count * self.interval_ms, self.interval_ms)
        return [
            replace(self._processes.at(tick), time_ms=self.stamp(tick))
            for tick in ticks
            if tick // LIST_INTERVAL_MS != (tick - self.interval_ms) // LIST_INTERVAL_MS
        ]
