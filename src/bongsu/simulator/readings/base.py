"""What all readings have in common."""

from abc import ABC, abstractmethod

from bongsu.arrays import Values
from bongsu.core.series import Kind, Series
from bongsu.core.units import unit_of_metric
from bongsu.simulator.machine import Machine
from bongsu.simulator.moment import Moment


def gauge(metric: str, **labels: str) -> Series:
    return Series(metric, tuple(sorted(labels.items())), unit_of_metric(metric))


def counter(metric: str, **labels: str) -> Series:
    return Series(metric, tuple(sorted(labels.items())), unit_of_metric(metric), Kind.COUNTER)


class Readings(ABC):
    """Some series of a machine, and their values."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @abstractmethod
    def series(self) -> list[Series]:
        """The series. The order is that in which ``fill`` writes them."""

    @abstractmethod
    def fill(self, out: Values, at: Moment) -> None:
        """Writes the values of n ticks to ``out``: (n, series)."""
