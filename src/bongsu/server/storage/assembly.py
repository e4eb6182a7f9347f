"""Makes frames of the parts of one server. Pure computation: arrays in, arrays out.

A sample that is there already stays as it is, whatever comes later for the same series and time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bongsu.arrays import ABSENT, Flags, Times
from bongsu.core.series import Layout, Series
from bongsu.server.storage.foreign import Part
from bongsu.server.storage.places import Given, Newcomer, Places, give_places, too_empty

Bits = npt.NDArray[np.int64]  # of doubles, since NaN has several


@dataclass(frozen=True, slots=True)
class Samples:
    """``numbers``, ``times``, ``bits``: (n,) each, in the order of arrival."""

    numbers: Bits
    times: Times
    bits: Bits

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Samples":
        """The samples of some parts; n >= 1."""
        counts = [len(part.numbers) // 8 for part in parts]
        numbers = np.frombuffer(b"".join([part.numbers for part in parts]), "<i8").astype(np.int64)
        bits = np.frombuffer(b"".join([part.values for part in parts]), "<i8").astype(np.int64)
        times = np.repeat(np.array([part.time_ms for part in parts], np.int64), counts)
        return cls(numbers, times, bits)


@dataclass(frozen=True, slots=True)
class Rows:
    """New values of one layout. ``times``: (m,) ascending; ``bits``: (m, k), ABSENT = no value."""

    times: Times
    bits: Bits

    def part(self, chosen: Flags) -> "Rows":
        """Some of the rows."""
        return Rows(self.times[chosen], self.bits[chosen])


@dataclass(slots=True)
class Assembly:
    """What becomes of some samples. ``rows``: by layout id; ``differing``: samples that were left out since there is
    another value of their series and time."""

    given: Given
    places: Places
    rows: dict[int, Rows] = field(default_factory=dict)
    differing: int = 0


def assemble(samples: Samples, places: Places, definitions: Mapping[int, Series]) -> Assembly:
    """``definitions``: number -> series, of all series that have no place."""
    found = places.find(samples.numbers)
    slots = np.where(found < 0, -1, places.slots[found] if len(places.slots) else -1)
    times: dict[int, set[int]] = {}
    leaving: dict[int, tuple[Series, int]] = {}
    for slot in np.unique(slots[slots >= 0]).tolist():
        layout, inside = places.layouts[slot], slots == slot
        at = set(samples.times[inside].tolist())
        if too_empty(len(layout.named), len(at), int(inside.sum())):
            for index in np.unique(found[inside]).tolist():
                series = layout.series[int(places.positions[index])]
                leaving[int(places.numbers[index])] = (series, layout.id)
        else:
            times[layout.id] = at
    new = {number: (series, 0) for number, series in definitions.items()} | leaving
    given = Given()
    if new:
        at_times: dict[int, set[int]] = {number: set() for number in new}
        coming = np.isin(samples.numbers, np.array([*new], np.int64))
        for number, time_ms in zip(samples.numbers[coming].tolist(), samples.times[coming].tolist(), strict=True):
            at_times[number].add(time_ms)
        newcomers = {
            number: Newcomer(series, frozenset(at_times[number]), leaves) for number, (series, leaves) in new.items()
        }
        given = give_places(places, newcomers, times)
        places = places.with_new(given)
    result = Assembly(given, places)
    found = places.find(samples.numbers)
    assert (found >= 0).all()
    slots, positions = places.slots[found], places.positions[found]
    for slot in np.unique(slots).tolist():
        inside = slots == slot
        rows, differing = _rows(places.layouts[slot], samples.times[inside], positions[inside], samples.bits[inside])
        result.rows[places.layouts[slot].id] = rows
        result.differing += differing
    return result


def _rows(layout: Layout, times: Times, positions: npt.NDArray[np.int32], bits: Bits) -> tuple[Rows, int]:
    distinct, row = np.unique(times, return_inverse=True)
    matrix = np.full((len(distinct), len(layout.series)), ABSENT, np.int64)
    flat = row * matrix.shape[1] + positions
    cells, first = np.unique(flat, return_index=True)
    matrix.reshape(-1)[cells] = bits[first]
    return Rows(distinct, matrix), int((matrix[row, positions] != bits).sum())


def merged(stored: Bits, new: Bits) -> tuple[Bits, int]:
    """The values of both, those that are stored first; and how many of the new ones differ from them."""
    differing = (stored != ABSENT) & (new != ABSENT) & (stored != new)
    return np.where(stored == ABSENT, new, stored), int(differing.sum())
