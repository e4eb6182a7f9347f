"""The series of one target: their places in its layouts, and the heads of lines by which they are found again.

Each series has a *slot*. ``SERIES_PER_LAYOUT`` slots in a row are those of one layout, so that a new series changes
only the last layout of the target, and never those of the host. A series that is missing keeps its slot: it gets STALE
once, then no value, and goes after ``KEEP_SCRAPES`` scrapes. A target that does not answer keeps all of them.
"""

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import ne

from bongsu.agent.collectors.base import SeriesKey
from bongsu.core.samples import ABSENT, NOT_A_NUMBER, STALE, Frame, pack
from bongsu.core.series import Kind, Layout, Series
from bongsu.core.units import unit_of_metric

SERIES_PER_LAYOUT = 500
# As with the agent's own series: 10 minutes at 10 s.
KEEP_SCRAPES = 60
# The slot of samples that are dropped: the last element of a list of values, which no layout has.
DROPPED = -1
_NAN = float("nan")

# A value for each slot, None where there is none, and one more at the end, for DROPPED.
SlotValues = list[float | None]


@dataclass(slots=True)
class _Page:
    """The slots of one layout. ``layout`` is None until it is needed."""

    series: list[Series] = field(default_factory=list)
    layout: Layout | None = None


class Table:
    """``max_series``: how many series a scrape may have; of missing ones, as many more are kept."""

    def __init__(self, max_series: int) -> None:
        self._max_series = max_series
        # Head of a line -> slot. Several heads may be of one series, with another order of labels.
        self.heads: dict[str, int] = {}
        self.slots: dict[SeriesKey, int] = {}
        self._pages: list[_Page] = []
        # Slot -> the scrape since which it has no value.
        self._missing: dict[int, int] = {}
        self._scrapes = 0

    def empty_values(self) -> SlotValues:
        """No value for any slot."""
        return [None] * (len(self._pages) * SERIES_PER_LAYOUT + 1)

    def _add(self, key: SeriesKey, kind: Kind) -> None:
        if not self._pages or len(self._pages[-1].series) >= SERIES_PER_LAYOUT:
            self._pages.append(_Page())
        page = self._pages[-1]
        self.slots[key] = (len(self._pages) - 1) * SERIES_PER_LAYOUT + len(page.series)
        metric, labels = key
        page.series.append(Series(metric, labels, sys.intern(unit_of_metric(metric.removesuffix("_sum"))), kind))
        page.layout = None

    def frames(self, found: "Found", time_ms: int, *, complete: bool) -> list[tuple[Frame, Layout]]:
        """The frames of what a scrape has found. New series get slots. ``complete``: the target has answered, so a
        series without a value has ended."""
        values = found.values
        if complete:
            self._scrapes += 1
        if len(self.slots) + len(found.new) > 2 * self._max_series:
            oldest_kept = self._scrapes + 1
        elif complete and self._scrapes % KEEP_SCRAPES == 0:
            oldest_kept = self._scrapes - KEEP_SCRAPES
        else:
            oldest_kept = 0
        gone = {slot for slot, since in self._missing.items() if since < oldest_kept and values[slot] is None}
        if gone:
            values = self._drop(gone, values)
        for key, (_, kind) in found.new.items():
            if key not in self.slots:
                self._add(key, kind)
        values += [None] * (len(self._pages) * SERIES_PER_LAYOUT + 1 - len(values))
        for key, (value, _) in found.new.items():
            values[self.slots[key]] = value
        if len(self.heads) + len(found.heads) > 4 * self._max_series:
            self.heads.clear()  # labels of dropped samples have endless values; heads still in use are learned anew
        for head, known in found.heads.items():
            self.heads[head] = DROPPED if known is None else self.slots[known]
        frames = []
        for number, page in enumerate(self._pages):
            first = number * SERIES_PER_LAYOUT
            if page.layout is None:
                page.layout = Layout.of(tuple(page.series))
            packed = self._packed(values[first : first + len(page.series)], first)
            frames.append((Frame(page.layout.id, time_ms, packed), page.layout))
        return frames

    def _packed(self, values: SlotValues, first: int) -> bytes:
        bits: dict[int, int] = {}
        try:
            floats: Iterable[float] = array("d", values)  # type: ignore[arg-type]
        except TypeError:  # some have no value
            floats = [_NAN if value is None else value for value in values]
            for position, value in enumerate(values):
                if value is None:
                    bits[position] = ABSENT if first + position in self._missing else STALE
                    self._missing.setdefault(first + position, self._scrapes)
        if any(map(ne, floats, floats)):
            bits = {i: bits.get(i, NOT_A_NUMBER) for i, value in enumerate(floats) if value != value}
        if self._missing:
            for slot in [slot for slot in self._missing if first <= slot < first + len(values)]:
                if values[slot - first] is not None:
                    del self._missing[slot]
        return pack(floats, bits)

    def _drop(self, gone: set[int], values: SlotValues) -> SlotValues:
        """Frees slots. Returns the values by the new slots. Layouts that lose nothing stay as they are, unless many of
        them have become small."""
        kept: list[tuple[list[int], _Page]] = []
        for number, page in enumerate(self._pages):
            first = number * SERIES_PER_LAYOUT
            slots = [first + i for i in range(len(page.series)) if first + i not in gone]
            if len(slots) == len(page.series):
                kept.append((slots, page))
            elif slots:
                kept.append((slots, _Page([page.series[slot - first] for slot in slots])))
        count = len(self.slots) - len(gone)
        if len(kept) > 2 * (count // SERIES_PER_LAYOUT + 1):
            all_slots = [slot for slots, _ in kept for slot in slots]
            all_series = [series for _, page in kept for series in page.series]
            kept = [
                (all_slots[start : start + SERIES_PER_LAYOUT], _Page(all_series[start : start + SERIES_PER_LAYOUT]))
                for start in range(0, count, SERIES_PER_LAYOUT)
            ]
        self._pages = [page for _, page in kept]
        moved = {
            old: number * SERIES_PER_LAYOUT + i for number, (slots, _) in enumerate(kept) for i, old in enumerate(slots)
        }
        self.slots = {key: moved[slot] for key, slot in self.slots.items() if slot in moved}
        self.heads = {head: moved.get(slot, slot) for head, slot in self.heads.items() if slot not in gone}
        self._missing = {moved[slot]: since for slot, since in self._missing.items() if slot in moved}
        new_values = self.empty_values()
        for old, new in moved.items():
            new_values[new] = values[old]
        return new_values


@dataclass(slots=True)
class Found:
    """What a scrape has found. ``new``: series without a slot, with value and kind; ``heads``: heads of lines that are
    not known yet, None where the sample is dropped."""

    values: SlotValues
    new: dict[SeriesKey, tuple[float, Kind]] = field(default_factory=dict)
    heads: dict[str, SeriesKey | None] = field(default_factory=dict)
