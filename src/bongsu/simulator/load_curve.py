"""How busy a simulated server is over days: a sum of waves around 1.

Its integral has a formula. A counter that follows the load is therefore a function of time alone: a simulator that was
stopped goes on where it would be, and history agrees with what is sent now.
"""

from dataclasses import dataclass
from math import pi

import numpy as np

from bongsu.arrays import Values

HOUR = 3_600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
# Monday, 2024-01-01, 00:00 UTC. Waves are counted from here, so that they keep their precision.
ORIGIN_SECONDS = 1_704_067_200.0
_WEDNESDAY_NOON = 2.5 * DAY


@dataclass(frozen=True, slots=True)
class Wave:
    """``height``: from 0 to 1. ``top``: when it is at its highest, in seconds after ORIGIN_SECONDS."""

    height: float
    period: float
    top: float


class LoadCurve:
    """The sum of the heights must be less than 1, so that the load never falls to 0."""

    def __init__(self, waves: tuple[Wave, ...]) -> None:
        self._heights = np.array([wave.height for wave in waves])
        self._speeds = np.array([2 * pi / wave.period for wave in waves])
        self._tops = np.array([wave.top for wave in waves])
        self.highest = 1.0 + float(self._heights.sum())
        if self.highest >= 2.0:
            raise ValueError("the waves are higher than the load they are added to")

    def load(self, seconds: Values) -> Values:
        """``seconds``: (n,) Unix time. Returns (n,) from above 0 to ``highest``; 1 on average."""
        return np.asarray(1.0 + np.cos(self._angles(seconds)) @ self._heights)

    def work(self, seconds: Values) -> Values:
        """(n,) the integral of the load since ORIGIN_SECONDS; always rising."""
        return np.asarray(seconds - ORIGIN_SECONDS + np.sin(self._angles(seconds)) @ (self._heights / self._speeds))

    def _angles(self, seconds: Values) -> Values:
        return np.asarray(((seconds - ORIGIN_SECONDS)[:, None] - self._tops) * self._speeds)


def load_curve(busiest_hour: float, swing: float, random: np.random.Generator) -> LoadCurve:
    """The curve of one server. ``busiest_hour``: in UTC. ``swing``: how much it follows day and night, 0 to 0.5. A role
    shares both, and each server adds waves of its own."""
    return LoadCurve(
        (
            Wave(swing, DAY, busiest_hour * HOUR + random.normal(0.0, 0.3) * HOUR),
            Wave(0.3 * swing, DAY / 2, (busiest_hour - 3.0) * HOUR),
            Wave(0.1, WEEK, _WEDNESDAY_NOON),
            Wave(0.08, random.uniform(2.2, 5.3) * HOUR, random.uniform(0.0, DAY)),
            Wave(0.06, random.uniform(0.4, 0.9) * HOUR, random.uniform(0.0, DAY)),
        )
    )
