"""Rows of the archive that were decoded a moment ago: pages ask for the same hours again and again, as time goes on.

The row of a block or rollup never changes: other content has another checksum. So an entry is right as long as its row
exists, and nobody asks for it afterwards.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy.typing as npt

from bongsu.arrays import Counts, Times, Values
from bongsu.server.history.rollups import SeriesRollup
from bongsu.server.storage.blocks import Head
from bongsu.server.storage.rollup_blocks import decode_series, decode_shared

# A day of minutes of one series of 500 servers, or a week of raw samples of one series of 40.
# Buckets that ``SeriesRollup.longer`` keeps come on top: at most a third of those that they are made of.
LIMIT_BYTES = 24 * 1024 * 1024

# Server, layout, step (0: a block), start, end, checksum.
RowKey = tuple[int, int, int, int, int, int]


@dataclass(slots=True)
class Decoded:
    """What has been decoded of one row. The arrays are read-only: answers share them."""

    head: Head
    size_bytes: int = 0
    # Whether it still counts; queries may use it longer.
    kept: bool = True
    # Frames, first and last time of each bucket of a rollup.
    shared: tuple[Counts, Times, Times] | None = None
    # By position: the values of a block, and the buckets of a rollup.
    columns: dict[int, Values] = field(default_factory=dict)
    buckets: dict[int, SeriesRollup] = field(default_factory=dict)
    # By position and step: the buckets of the samples of a block that is not part of the rollups yet.
    rolled: dict[tuple[int, int], SeriesRollup] = field(default_factory=dict)


class DecodedRows:
    """One per process. Threads use it at once; two of them may decode the same."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._rows: OrderedDict[RowKey, Decoded] = OrderedDict()
        self._lock = Lock()
        self.size_bytes = 0

    def get(self, key: RowKey, open_head: Callable[[], Head]) -> Decoded:
        """The row of this key. Raises what ``open_head`` raises, which is called if the row is not known."""
        with self._lock:
            row = self._rows.get(key)
            if row is not None:
                self._rows.move_to_end(key)
                return row
        head = open_head()
        _protect(head.times)
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = Decoded(head)
                self._grow(row, head.nbytes)
        return row

    def column(self, row: Decoded, position: int, part: bytes) -> Values:
        """The values of one series of a block. Raises CorruptBlock."""
        found = row.head.column(position, part)
        _protect(found)
        with self._lock:
            row.columns[position] = found
            self._grow(row, found.nbytes)
        return found

    def buckets(self, row: Decoded, position: int, shared: bytes, part: bytes, *, counter: bool) -> SeriesRollup:
        """The buckets of one series of a rollup, whose column ``part`` is. Raises CorruptBlock."""
        frames, first_ms, last_ms = self._shared(row, shared)
        count, stats = decode_series(row.head, position, part, frames, counter=counter)
        found = SeriesRollup(row.head.times, first_ms, last_ms, count, stats)
        _protect(count, stats)
        with self._lock:
            row.buckets[position] = found
            self._grow(row, count.nbytes + stats.nbytes)
        return found

    def keep_rolled(self, row: Decoded, found: Mapping[int, SeriesRollup], step_ms: int) -> None:
        """Keeps the buckets of some series of a block."""
        arrays = [array for each in found.values() for array in each.arrays]
        _protect(*arrays)
        with self._lock:
            row.rolled |= {(position, step_ms): each for position, each in found.items()}
            self._grow(row, sum(array.nbytes for array in arrays))

    def _shared(self, row: Decoded, part: bytes) -> tuple[Counts, Times, Times]:
        if row.shared is None:
            shared = decode_shared(row.head, part)
            _protect(*shared)
            with self._lock:
                row.shared = shared
                self._grow(row, sum(array.nbytes for array in shared))
        return row.shared

    def _grow(self, row: Decoded, size_bytes: int) -> None:
        if not row.kept:
            return
        row.size_bytes += size_bytes
        self.size_bytes += size_bytes
        while self.size_bytes > self._limit and len(self._rows) > 1:
            _, oldest = self._rows.popitem(last=False)
            oldest.kept = False
            self.size_bytes -= oldest.size_bytes


def _protect(*arrays: npt.NDArray[Any]) -> None:
    for array in arrays:
        array.flags.writeable = False
