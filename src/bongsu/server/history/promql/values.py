"""What expressions are worth: numbers and vectors at each step, and the samples that ranges are cut from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Flags, Indices, Times, Values
from bongsu.core.errors import InvalidInput
from bongsu.server.history.promql.labels import Labels, shown
from bongsu.server.history.promql.syntax import invalid

T = TypeVar("T", bound=np.generic)

# Numbers that one part of a query may make, series times steps: 300 MB with what it takes to make them.
MOST_NUMBERS = 10_000_000
# Windows overlap; so many samples of them are laid out at a time (100 MB with what is computed of them).
LAID_OUT = 2_000_000


def check_numbers(numbers: int) -> None:
    """Raises InvalidInput if a part of a query would make too many."""
    if numbers > MOST_NUMBERS:
        raise InvalidInput(
            f"A part of the query would make {numbers:,} numbers (series times steps); the limit is {MOST_NUMBERS:,}. "
            "Select fewer series, or use a longer step.",
            code="too_many_points",
            field="query",
            limit=MOST_NUMBERS,
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """The times at which an expression is evaluated. ``end_ms``: not before the last of them."""

    start_ms: int
    step_ms: int
    count: int
    end_ms: int

    @property
    def times(self) -> Times:
        """(count,) ascending."""
        return self.start_ms + self.step_ms * np.arange(self.count, dtype=np.int64)


@dataclass(slots=True)
class Scalar:
    """``values``: (steps,)."""

    values: Values


@dataclass(slots=True)
class String:
    value: str


@dataclass(slots=True)
class Vector:
    """Series at each step. ``values``, ``present``: (series, steps); what is not present has any value."""

    labels: list[Labels]
    values: Values
    present: Flags

    @classmethod
    def empty(cls, steps: int) -> "Vector":
        """A vector without series."""
        return cls([], np.empty((0, steps)), np.empty((0, steps), bool))

    def rows(self, rows: "Sequence[int] | Indices") -> "Vector":
        """Some of the series, in this order."""
        return Vector([self.labels[row] for row in rows], self.values[rows], self.present[rows])

    def seen(self) -> "Vector":
        """The series that are present at any step."""
        rows = np.flatnonzero(self.present.any(axis=1))
        return self if len(rows) == len(self.labels) else self.rows(rows)


def unique(labels: list[Labels], values: Values, present: Flags) -> Vector:
    """A vector in which each set of labels occurs once: rows with the same labels become one.

    Raises:
        InvalidInput: two of them are present at the same step.
    """
    places: dict[Labels, int] = {}
    targets = [places.setdefault(each, len(places)) for each in labels]
    if len(places) == len(labels):
        return Vector(labels, values, present)
    merged = np.zeros((len(places), values.shape[1]))
    taken = np.zeros(merged.shape, bool)
    for row, target in enumerate(targets):
        if (taken[target] & present[row]).any():
            raise invalid(f"vector cannot contain several series with the labels {shown(labels[row])}")
        merged[target] = np.where(present[row], values[row], merged[target])
        taken[target] |= present[row]
    return Vector(list(places), merged, taken)


@dataclass(slots=True)
class Samples:
    """The samples of many series, one after the other. ``bounds``: (series + 1,) where each begins; ``times``,
    ``values``: (n,), ascending within a series."""

    labels: list[Labels]
    bounds: Indices
    times: Times
    values: Values

    @classmethod
    def of(cls, series: Sequence[tuple[Labels, Times, Values]]) -> "Samples":
        """Puts them one after the other."""
        bounds = np.zeros(len(series) + 1, np.intp)
        np.cumsum([len(times) for _, times, _ in series], out=bounds[1:])
        if not series:
            return cls([], bounds, np.empty(0, np.int64), np.empty(0))
        return cls(
            [labels for labels, _, _ in series],
            bounds,
            np.concatenate([times for _, times, _ in series]),
            np.concatenate([values for _, _, values in series]),
        )

    def where(self, kept: Flags) -> "Samples":
        """Some of the samples, of all series."""
        if kept.all():
            return self
        before = np.zeros(len(kept) + 1, np.intp)
        np.cumsum(kept, out=before[1:])
        return Samples(self.labels, before[self.bounds], self.times[kept], self.values[kept])

    def before(self, times: Times) -> Indices:
        """(series, len(times)): how many samples of the whole, up to those of each series that are not later than each
        time. One search over all series: 60,000 in 240,000 samples take 5 ms."""
        series, steps = len(self.labels), len(times)
        if not series or not len(self.times):
            return np.zeros((series, steps), np.intp)
        first_ms = int(self.times.min())
        width = int(self.times.max()) - first_ms + 2
        offsets = np.arange(series, dtype=np.int64) * width
        keys = self.times - first_ms + 1 + np.repeat(offsets, np.diff(self.bounds))
        wanted = np.clip(times - first_ms + 1, 0, width - 1)[None, :] + offsets[:, None]
        return np.searchsorted(keys, wanted.ravel(), side="right").reshape(series, steps)


@dataclass(slots=True)
class Windows:
    """The samples of each series in ``(time - range, time]``, for each step. ``first``, ``last``: (series, steps), half
    open."""

    samples: Samples
    first: Indices
    last: Indices
    ends_ms: Times
    range_ms: int

    @classmethod
    def of(cls, samples: Samples, ends_ms: Times, range_ms: int) -> "Windows":
        """The windows that end at these times."""
        return cls(samples, samples.before(ends_ms - range_ms), samples.before(ends_ms), ends_ms, range_ms)

    @property
    def counts(self) -> Indices:
        """(series, steps) samples in each window."""
        return self.last - self.first

    def reduced(self, ufunc: np.ufunc, values: Values) -> Values:
        """(series, steps): of the values of the samples of each window; any number where it is empty."""
        shape = self.first.shape
        if not self.first.size or not len(values):
            return np.zeros(shape)
        # Between two indices one window, between the next two whatever lies between it and its successor.
        places = np.stack((self.first.ravel(), self.last.ravel()), axis=1).ravel()
        padded = np.append(values, values[-1:])
        with np.errstate(all="ignore"):
            found: Values = ufunc.reduceat(padded, np.minimum(places, len(values)))[::2]
        return found.reshape(shape)

    def laid_out(self, at_least: int = 1) -> Iterator["LaidOut"]:
        """All windows of at least so many samples, so many at a time as fit into memory."""
        counts = self.counts.ravel()
        chosen = np.flatnonzero(counts >= at_least)
        if not len(chosen):
            return
        total = np.cumsum(counts[chosen])
        first_ms = np.broadcast_to(self.ends_ms, self.first.shape).ravel()
        begin = 0
        while begin < len(chosen):
            done = total[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(total, done + LAID_OUT, side="right")))
            windows = chosen[begin:end]
            lengths = counts[windows]
            starts = np.zeros(len(windows), np.intp)
            np.cumsum(lengths[:-1], out=starts[1:])
            places = np.arange(int(lengths.sum())) + np.repeat(self.first.ravel()[windows] - starts, lengths)
            yield LaidOut(
                windows,
                starts,
                lengths,
                self.samples.times[places],
                self.samples.values[places],
                first_ms[windows],
            )
            begin = end


@dataclass(slots=True)
class LaidOut:
    """Some windows, with the samples of one after those of the other. ``windows``: (w,) their places among all of them;
    ``starts``, ``lengths``: (w,) of their samples in ``times`` and ``values``: (n,); ``ends_ms``: (w,)."""

    windows: Indices
    starts: Indices
    lengths: Indices
    times: Times
    values: Values
    ends_ms: Times

    def sums(self, values: Values) -> Values:
        """(w,) sums of the values of each window."""
        sums: Values = np.add.reduceat(values, self.starts)
        return sums

    def spread(self, of_window: "npt.NDArray[T]") -> "npt.NDArray[T]":
        """(n,): the number of its window for each sample."""
        return np.repeat(of_window, self.lengths)
