"""The series that a writer has written, byte by byte as they came, one after the other.

Senders keep the order of their series: a request holds a few runs of what came before, one or two for each target, with
other samples. Such a request is compared with the tape as a whole instead of being parsed: 40 us for 500 series instead
of 250. Where a run begins, its first series is looked up.

A series on the tape has one sample, at its end: 18 bytes, or 9 if its value is 0, which is so for 42 % of what
Prometheus scrapes. Values and times are blank on the tape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Flags, Indices

Bytes = npt.NDArray[np.uint8]

# An entry: its tag and length; labels; tag and length of the sample; tag and value, unless it is 0; tag and time.
ENTRY, SAMPLE, VALUE, TIME = 0x0A, 0x12, 0x09, 0x10
VALUED_HEAD, ZERO_HEAD = bytes((SAMPLE, 16, VALUE)), bytes((SAMPLE, 7, TIME))
SAMPLE_BYTES, ZERO_BYTES = 18, 9
TIME_BYTES = 6
# From the end of an entry: where its value begins.
VALUE_AT = TIME_BYTES + 1 + 8

# With more runs than this in a request, looking each series up is quicker.
MOST_RUNS = 12
# Entries that are compared at once: a run may end soon.
_CHUNK = 512
# The tape begins anew when it is this many times as long as the keys, and this much longer: entries that came again in
# another order, or with 0 instead of a value, are on it more than once.
_TIMES_THE_KEYS, _MORE_BYTES = 3, 1 << 20


@dataclass(slots=True)
class Run:
    """Entries of a request. ``ends``: where each ends; ``zero``: those without a value; ``places``: of their keys."""

    ends: Indices
    zero: Flags
    places: Indices


class _Reel:
    """The arrays of a tape. Its first ``count`` entries never change: threads may read while more are added."""

    def __init__(self, entries: int, size: int) -> None:
        self.text: Bytes = np.empty(size, np.uint8)
        # Of each entry: where it ends, whether its value is 0, how many up to it have a value, the place of its key.
        self.ends: Indices = np.empty(entries, np.intp)
        self.zero: Flags = np.empty(entries, np.bool_)
        self.with_value: Indices = np.empty(entries, np.intp)
        self.places: Indices = np.empty(entries, np.intp)
        # Where each value begins.
        self.values: Indices = np.empty(entries, np.intp)
        # Place of a key -> its last entry; -1: none.
        self.entries: Indices = np.full(entries, -1, np.intp)
        self.count = 0

    @property
    def size(self) -> int:
        """Bytes of the entries."""
        return int(self.ends[self.count - 1]) if self.count else 0

    def valued(self, entry: int) -> int:
        """How many entries before this one have a value."""
        return int(self.with_value[entry - 1]) if entry else 0

    def with_room(self, entries: int, size: int, places: int) -> "_Reel":
        """This one, or a larger copy."""
        count, taken = self.count, self.size
        room = min(len(self.ends) - count - entries, len(self.text) - taken - size, len(self.entries) - places)
        if room >= 0:
            return self
        larger = _Reel(2 * max(count + entries, places), 2 * (taken + size))
        larger.text[:taken] = self.text[:taken]
        for name in ("ends", "zero", "with_value", "places", "values"):
            getattr(larger, name)[:count] = getattr(self, name)[:count]
        larger.entries[: len(self.entries)] = self.entries
        larger.count = count
        return larger

    def add(self, body: bytes, run: Run) -> None:
        """Adds the entries of a request. There must be room."""
        size, count, valued = self.size, self.count, self.valued(self.count)
        end, with_value = count + len(run.ends), np.cumsum(~run.zero)
        values = run.ends[~run.zero] - VALUE_AT
        text = self.text[size : size + len(body)]
        text[:] = np.frombuffer(body, np.uint8)
        _blank(text, run.ends - TIME_BYTES, values)
        self.ends[count:end], self.zero[count:end], self.places[count:end] = run.ends + size, run.zero, run.places
        self.with_value[count:end] = with_value + valued
        self.values[valued : valued + len(values)] = values + size
        self.count = end
        self.entries[run.places] = np.arange(count, end)


class Tape:
    """Finds the series of requests of remote write 1.0 that have come before."""

    def __init__(self) -> None:
        self._reel = _Reel(1_024, 1 << 17)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self._reel.size

    def add(self, body: bytes, run: Run, key_bytes: int) -> None:
        """Takes note of a request. ``key_bytes``: of all keys that there are."""
        if self._reel.size > _TIMES_THE_KEYS * key_bytes + _MORE_BYTES:
            self._reel = _Reel(1_024, 1 << 17)
        self._reel = self._reel.with_room(len(run.ends), len(body), int(run.places.max()) + 1)
        self._reel.add(body, run)

    def find(self, body: bytes, places: Mapping[bytes, int]) -> Run | None:
        """The entries of a request, if all are known and come in few runs of what came before; with values and times of
        any content in their usual places. ``places``: of all keys."""
        reel, data = self._reel, np.frombuffer(body, np.uint8)
        found: list[Run] = []
        at = 0
        while at < len(body):
            alone = _alone(body, at, places) if len(found) < MOST_RUNS else None
            if alone is None:
                return None
            end, zero, place = alone
            run = _follow(reel, data, at, place)
            if run is None:
                run = Run(np.array([end], np.intp), np.array([zero]), np.array([place], np.intp))
            found.append(run)
            at = int(run.ends[-1])
        if len(found) < 2:
            return found[0] if found else None
        return Run(*(np.concatenate([getattr(run, name) for run in found]) for name in ("ends", "zero", "places")))


def key_in(body: bytes, first: int, last: int) -> tuple[bytes, bool] | None:
    """The key of an entry with these bytes, and whether its value is 0; None if it has no sample of a usual form, or is
    shorter than one that has a name."""
    if last - first < SAMPLE_BYTES:
        return None
    if body[last - ZERO_BYTES : last - TIME_BYTES] == ZERO_HEAD:
        return body[first : last - ZERO_BYTES], True
    sample = last - SAMPLE_BYTES
    if body[sample : sample + 3] == VALUED_HEAD and body[last - TIME_BYTES - 1] == TIME:
        return body[first:sample], False
    return None


def _alone(body: bytes, at: int, places: Mapping[bytes, int]) -> tuple[int, bool, int] | None:
    """Where the entry that begins here ends, whether its value is 0, and the place of its key; None if that is not
    known."""
    if body[at] != ENTRY:
        return None
    length = shift = 0
    for first in range(at + 1, min(at + 4, len(body))):
        length |= (body[first] & 0x7F) << shift
        shift += 7
        if body[first] < 0x80:
            break
    else:
        return None
    end = first + 1 + length
    if end > len(body):
        return None
    found = key_in(body, first + 1, end)
    place = None if found is None else places.get(found[0])
    return None if found is None or place is None else (end, found[1], place)


def _follow(reel: _Reel, data: Bytes, at: int, place: int) -> Run | None:
    """The entries from here on that are as on the tape from the last one of a key on; None if not even the first is."""
    first = last = int(reel.entries[place]) if place < len(reel.entries) else -1
    if not 0 <= first < reel.count:
        return None
    # From a place on the tape to one in the request.
    shift = at - (int(reel.ends[first - 1]) if first else 0)
    while last < reel.count:
        chunk = min(last + _CHUNK, reel.count)
        same = last + _same(reel, data, shift, last, chunk)
        if same < chunk:
            chunk, last = last, same
            break
        last = chunk
    return Run(reel.ends[first:last] + shift, reel.zero[first:last], reel.places[first:last]) if last > first else None


def _same(reel: _Reel, data: Bytes, shift: int, first: int, last: int) -> int:
    """How many entries of the tape, of those from ``first`` to ``last``, are in the request."""
    start = int(reel.ends[first - 1]) if first else 0
    ends = reel.ends[first:last]
    if ends[-1] + shift > len(data):
        ends = ends[: np.searchsorted(ends, len(data) - shift, "right")]
        if not len(ends):
            return 0
    end = int(ends[-1])
    text = data[start + shift : end + shift].copy()
    values = reel.values[reel.valued(first) : reel.valued(first + len(ends))]
    _blank(text, ends - (start + TIME_BYTES), values - start)
    same = text == reel.text[start:end]
    return len(ends) if same.all() else int(np.searchsorted(ends, start + same.argmin(), "right"))


def _blank(text: Bytes, times: Indices, values: Indices) -> None:
    """Makes what begins at these places zeros."""
    every(text, "V6")[times] = bytes(TIME_BYTES)
    every(text, "<u8")[values] = 0


def every(text: Bytes, dtype: str) -> npt.NDArray[Any]:
    """All pieces of this type, beginning at each byte."""
    return np.ndarray(len(text) - np.dtype(dtype).itemsize + 1, dtype, text, strides=(1,))
