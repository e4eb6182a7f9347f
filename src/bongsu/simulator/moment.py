"""Everything from which the readings of some consecutive ticks of one machine are computed."""

from dataclasses import dataclass

import numpy as np

from bongsu.arrays import Values
from bongsu.simulator.machine import Machine
from bongsu.simulator.replay import Replay, replay
from bongsu.simulator.trouble import Kind, Trouble

# Two places of the capture are read and mixed, one of them slower by this factor, so that nothing repeats within days.
SLOWER = (5**0.5 - 1) / 2
# The share of the CPU time that follows the curve smoothly; the rest is that of the capture.
SMOOTH = 0.4
# The shares of any traffic that follow the curve, and the CPU; the rest are the bursts of the capture.
STEADY, ACTIVE = 0.3, 0.45


@dataclass(frozen=True, slots=True)
class Moment:
    """n ticks, an interval apart. Arrays of n + 1 begin with the tick before the first, for what is an average over an
    interval; counters are counted from the start of the machine.

    ``seconds``: (n + 1,) since the start. ``interval``: in seconds. ``load``: (n,) beside 1 on average. ``work``:
    (n + 1,) integral of the load. ``position``: (n,) in the capture. ``columns``: (n + 1, columns of the capture).
    """

    machine: Machine
    seconds: Values
    interval: float
    load: Values
    work: Values
    position: Values
    columns: Values
    source: Replay

    @property
    def unix(self) -> Values:
        """(n + 1,) Unix time in seconds."""
        return self.seconds + self.machine.boot_seconds

    def troubles(self, kind: Kind) -> list[Trouble]:
        """What of this kind happens to the machine, at any time."""
        return [trouble for trouble in self.machine.troubles if trouble.kind is kind]

    def total(self, name: str) -> Values:
        """(n + 1,) a counter of the capture, mixed from both places; its rate follows the load."""
        return np.asarray(self.columns[:, self.source.names[name]])

    def flow(self, name: str, per_second: float) -> Values:
        """(n + 1,) a counter that grows by so much a second on average: with the load, with the CPU and in bursts."""
        steady = STEADY * self.work
        active = ACTIVE / self.source.means["activity"] * self.total("activity")
        bursts = (1 - STEADY - ACTIVE) / self.source.means[name] * self.total(name)
        return np.asarray(per_second * (steady + active + bursts))

    def level(self, name: str) -> Values:
        """(n,) a gauge of the capture, mixed from both places."""
        return self.columns[1:, self.source.names[name]]

    def rate(self, total: Values) -> Values:
        """(n,) what a counter of (n + 1,) grew by per second."""
        return np.asarray(np.diff(total) / self.interval)


def moment(machine: Machine, first_ms: int, count: int, interval_ms: int) -> Moment:
    """``count`` ticks from ``first_ms`` on. A machine that had not started yet stands still."""
    unix = (first_ms + np.arange(-1, count) * interval_ms) / 1000
    unix = np.maximum(unix, machine.boot_seconds)
    with_boot = np.concatenate(([machine.boot_seconds], unix))
    done = machine.curve.work(with_boot)
    work = done - done[0]
    source = replay()
    read = source.at(np.concatenate((work + machine.offset, SLOWER * work + machine.offset)))
    fast, slow = read[: count + 2], read[count + 2 :]
    counters = len(source.means)
    mixed = np.empty((count + 1, read.shape[1]))
    # The slower place has to count for more, to grow as much.
    fast_growth = fast[1:, :counters] - fast[0, :counters]
    slow_growth = slow[1:, :counters] - slow[0, :counters]
    mixed[:, :counters] = (fast_growth + slow_growth / SLOWER) / 2
    mixed[:, counters:] = (fast[1:, counters:] + slow[1:, counters:]) / 2
    return Moment(
        machine,
        unix - machine.boot_seconds,
        interval_ms / 1000,
        machine.curve.load(unix[1:]),
        work[1:],
        work[2:] + machine.offset,
        mixed,
        source,
    )
