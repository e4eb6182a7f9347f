"""Where foreign series stand: each has a position in a layout, as the series of an agent have.

Series that come together share a layout: those of one target (labels ``job`` and ``instance``) that have samples at the
same times, at most MOST_SERIES. A layout has room for more (``RESERVED``), so that a series that comes later changes
the content of a layout instead of making another one; 100,000 short series a day fill 200 layouts. Pure computation.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import randbits

import numpy as np
import numpy.typing as npt

from bongsu.core.series import RESERVED, Layout, Series

# A frame of 4 KB.
MOST_SERIES = 500
LEAST_SERIES = 8
# Room in a new layout, for each series that it begins with.
SPARE = 1.25
# A layout whose frames are emptier than this is left by those of its series that still come.
LEAST_FILLED = 0.1
# Fewer frames at once do not show it.
FRAMES_TO_JUDGE = 8

Target = tuple[str, str]  # job, instance


def target_of(series: Series) -> Target:
    """What a series is scraped from; empty texts for one that is not."""
    labels = dict(series.labels)
    return labels.get("job", ""), labels.get("instance", "")


@dataclass(slots=True)
class Places:
    """The places of the foreign series of one server.

    ``numbers``: (k,) ascending; ``slots``: (k,) indexes of ``layouts``; ``positions``: (k,).
    """

    numbers: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    slots: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    positions: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    layouts: list[Layout] = field(default_factory=list)

    @classmethod
    def of(cls, stored: Sequence[tuple[int, int, int]], layouts: Mapping[int, Layout]) -> "Places":
        """From rows of (number, layout id, position). Those whose layout cannot be read are left out."""
        used = sorted({layout_id for _, layout_id, _ in stored} & layouts.keys())
        slot_of = {layout_id: slot for slot, layout_id in enumerate(used)}
        rows = sorted((number, slot_of[layout], place) for number, layout, place in stored if layout in slot_of)
        columns = np.array(rows, np.int64).reshape(-1, 3)
        return cls(
            columns[:, 0].copy(),
            columns[:, 1].astype(np.int32),
            columns[:, 2].astype(np.int32),
            [layouts[layout_id] for layout_id in used],
        )

    def find(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(n,) indexes of these numbers; -1: it has no place."""
        if not len(self.numbers):
            return np.full(len(numbers), -1, np.int64)
        found = np.searchsorted(self.numbers, numbers)
        found[found == len(self.numbers)] = 0
        return np.where(self.numbers[found] == numbers, found, -1)

    def with_new(self, given: "Given") -> "Places":
        """These places and the new ones."""
        layouts = [given.changed.get(layout.id, layout) for layout in self.layouts]
        known = {layout.id for layout in layouts}
        layouts += [layout for layout_id, layout in given.changed.items() if layout_id not in known]
        slot_of = {layout.id: slot for slot, layout in enumerate(layouts)}
        new = np.array([(number, slot_of[to], place) for number, _, to, place in given.places], np.int64).reshape(-1, 3)
        stays = ~np.isin(self.numbers, new[:, 0])
        numbers = np.concatenate((self.numbers[stays], new[:, 0]))
        slots = np.concatenate((self.slots[stays], new[:, 1].astype(np.int32)))
        positions = np.concatenate((self.positions[stays], new[:, 2].astype(np.int32)))
        order = np.argsort(numbers, kind="stable")
        return Places(numbers[order], slots[order], positions[order], layouts)


@dataclass(slots=True)
class Given:
    """New places: (number, id of the layout it leaves or 0, layout id, position), and the layouts that are new or have
    changed, by id."""

    places: list[tuple[int, int, int, int]] = field(default_factory=list)
    changed: dict[int, Layout] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A series that needs a place. ``at``: the times of its samples; ``leaves``: the layout it is in now; 0: none."""

    series: Series
    at: frozenset[int]
    leaves: int = 0


def give_places(places: Places, new: Mapping[int, Newcomer], times: Mapping[int, Collection[int]]) -> Given:
    """Places for new series (number -> newcomer). ``times``: layout id -> times of the samples of its series that came
    with them; a layout that is not among them takes none."""
    given = Given()
    of_target: dict[Target, dict[int, Layout]] = defaultdict(dict)
    for layout in places.layouts:
        if layout.id in times:
            of_target[target_of(layout.series[0])][layout.id] = layout
    of_layout = {layout_id: set(found) for layout_id, found in times.items()}
    together: dict[tuple[Target, frozenset[int]], list[int]] = defaultdict(list)
    for number, newcomer in new.items():
        together[target_of(newcomer.series), newcomer.at].append(number)
    for (target, at), left in together.items():
        while left:
            beside = [layout for layout in of_target[target].values() if min(at) in of_layout[layout.id]]
            layout = next((each for each in beside if len(each.named) < len(each.series)), None) or _empty(
                # Twice as large as those beside, so that series that come one by one do not make many layouts.
                max(len(left), *(2 * len(each.named) for each in beside), 1)
            )
            filled, left = _fill(given, layout, left, new)
            of_target[target][layout.id] = filled
            of_layout[layout.id] = of_layout.get(layout.id, set()) | at
    return given


def _empty(wanted: int) -> Layout:
    width = LEAST_SERIES
    while width < wanted * SPARE and width < MOST_SERIES:
        width *= 2
    return Layout(randbits(63) or 1, (RESERVED,) * min(width, MOST_SERIES))


def _fill(given: Given, layout: Layout, numbers: list[int], new: Mapping[int, Newcomer]) -> tuple[Layout, list[int]]:
    """Gives the free positions of a layout to these series. Returns the layout, and those that found no room."""
    content = list(layout.series)
    free = [position for position, series in enumerate(content) if series == RESERVED]
    for position, number in zip(free, numbers, strict=False):
        content[position] = new[number].series
        given.places.append((number, new[number].leaves, layout.id, position))
    filled = given.changed[layout.id] = Layout(layout.id, tuple(content))
    return filled, numbers[len(free) :]


def too_empty(width: int, frames: int, samples: int) -> bool:
    """Whether frames of a layout are too empty: its series once came together, and no longer do."""
    return frames >= FRAMES_TO_JUDGE and samples < LEAST_FILLED * width * frames
