"""The format of a rollup row: a block (``storage/blocks.py``) whose times are bucket starts, with these columns.

::

    column 0      frames, first_ms - start, last_ms - start     of each bucket, for all series
    column i + 1  series i := 0 double                          every sample of every bucket has this value
                            | 1 count total low  high last      a gauge
                            | 2 count first resets last         a counter
    each list: a u32 length for every item, then the items; an item is an encoded column of a block, or empty

Counts that equal the frames, and resets of 0, are left out. Where low and last (of a gauge) or first and last (of a
counter) are whole numbers, tags 3 and 4 hold the differences: last - low, and first - previous last. Measured on the
real capture: 1.5 bytes for each number kept of a changing gauge and 0.9 of a changing counter, 16 % less than without
the differences.
"""

import struct
from collections.abc import Sequence

import numpy as np

from bongsu.arrays import Counts, Flags, Values
from bongsu.server.storage.blocks import CorruptBlock, Head, Packed, decode_column, encode_columns, pack_parts
from bongsu.server.storage.rollup import FIRST, HIGH, LAST, LOW, RESETS, STATS, TOTAL, Rollup

_FLAT, _GAUGE, _COUNTER, _GAUGE_DIFFERENCE, _COUNTER_DIFFERENCE = range(5)
_EXACT = 2.0**53
SHARED = 0


def encode_rollup(rollup: Rollup, counters: Flags) -> Packed:
    """``counters``: (k,) flags of the series that are counters. At least one bucket."""
    shared = np.stack([rollup.frames, rollup.first_ms - rollup.times, rollup.last_ms - rollup.times])
    parts = [_listed(encode_columns(shared.astype(np.float64)))]
    flat = _flat(rollup, counters)
    # From here on each series is contiguous in memory.
    stats = np.ascontiguousarray(rollup.stats.transpose(2, 0, 1))
    counts = np.ascontiguousarray(rollup.count.T)
    for position in range(len(stats)):
        if flat[position]:
            value = stats[position, LAST, 0] if counts[position, 0] else np.nan
            parts.append(struct.pack("<Bd", _FLAT, value))
        else:
            encode = _counter if counters[position] else _gauge
            parts.append(encode(stats[position], counts[position], rollup.frames))
    return pack_parts(rollup.times, parts)


def _flat(rollup: Rollup, counters: Flags) -> Flags:
    """(k,) series that have the same value in all frames of all buckets, or no value in any."""
    last = rollup.stats[LAST]
    same = (last.view(np.int64) == last.view(np.int64)[:1]).all(axis=0)
    full = (rollup.count == rollup.frames[:, None]).all(axis=0)
    steady = np.where(
        counters,
        (rollup.stats[FIRST] == last).all(axis=0) & (rollup.stats[RESETS] == 0).all(axis=0),
        (rollup.stats[LOW] == last).all(axis=0) & (rollup.stats[HIGH] == last).all(axis=0),
    )
    flat: Flags = (same & full & steady) | (rollup.count == 0).all(axis=0)
    return flat


def _listed(items: Sequence[bytes]) -> bytes:
    return b"".join((struct.pack(f"<{len(items)}I", *map(len, items)), *items))


def _unlisted(part: bytes, count: int, start: int = 0) -> list[bytes]:
    try:
        lengths = struct.unpack_from(f"<{count}I", part, start)
    except struct.error:
        raise CorruptBlock from None
    items = []
    start += 4 * count
    for length in lengths:
        items.append(part[start : start + length])
        start += length
    return items


def _whole(*columns: Values) -> bool:
    return all(bool((np.abs(column) < _EXACT).all() and (column == np.floor(column)).all()) for column in columns)


def _gauge(stats: Values, count: Counts, frames: Counts) -> bytes:
    difference = _whole(stats[LOW], stats[LAST])
    last = stats[LAST] - stats[LOW] if difference else stats[LAST]
    columns = encode_columns(np.stack([stats[TOTAL], stats[LOW], stats[HIGH], last]))
    tag = _GAUGE_DIFFERENCE if difference else _GAUGE
    return bytes([tag]) + _listed([_count(count, frames), *columns])


def _counter(stats: Values, count: Counts, frames: Counts) -> bytes:
    difference = _whole(stats[FIRST], stats[LAST])
    first = stats[FIRST] - np.append(0.0, stats[LAST][:-1]) if difference else stats[FIRST]
    first_part, last_part = encode_columns(np.stack([first, stats[LAST]]))
    fell = np.where(count > 0, stats[RESETS], 0.0)
    resets = encode_columns(fell[None])[0] if fell.any() else b""
    tag = _COUNTER_DIFFERENCE if difference else _COUNTER
    return bytes([tag]) + _listed([_count(count, frames), first_part, resets, last_part])


def _count(count: Counts, frames: Counts) -> bytes:
    return b"" if (count == frames).all() else encode_columns(count.astype(np.float64)[None])[0]


def decode_shared(head: Head, part: bytes) -> tuple[Counts, Counts, Counts]:
    """frames, first_ms and last_ms, (m,) each.

    Raises:
        CorruptBlock: the part is damaged.
    """
    items = _unlisted(head.checked(SHARED, part), 3)
    frames, first, last = (decode_column(item, len(head.times)).astype(np.int64) for item in items)
    return frames, head.times + first, head.times + last


def decode_series(head: Head, position: int, part: bytes, frames: Counts, *, counter: bool) -> tuple[Counts, Values]:
    """Counts (m,) and statistics (STATS, m) of one series; ``position`` as in the layout.

    Raises:
        CorruptBlock: the part is damaged.
    """
    part = head.checked(position + 1, part)
    size = len(head.times)
    stats = np.full((STATS, size), np.nan)
    tag = part[0] if part else -1
    if tag == _FLAT and len(part) == 9:
        (value,) = struct.unpack_from("<d", part, 1)
        if value != value:
            return np.zeros(size, np.int64), stats
        stats[LAST] = value
        if counter:
            stats[FIRST], stats[RESETS] = value, 0.0
        else:
            stats[LOW] = stats[HIGH] = value
            stats[TOTAL] = value * frames
        return frames, stats
    items = _unlisted(part, 4 if counter else 5, 1)
    count = decode_column(items[0], size).astype(np.int64) if items[0] else frames
    if counter and tag in (_COUNTER, _COUNTER_DIFFERENCE):
        first, last = decode_column(items[1], size), decode_column(items[3], size)
        stats[FIRST] = first + np.append(0.0, last[:-1]) if tag == _COUNTER_DIFFERENCE else first
        stats[LAST] = last
        stats[RESETS] = decode_column(items[2], size) if items[2] else 0.0
    elif not counter and tag in (_GAUGE, _GAUGE_DIFFERENCE):
        stats[TOTAL], stats[LOW], stats[HIGH], last = (decode_column(item, size) for item in items[1:])
        stats[LAST] = last + stats[LOW] if tag == _GAUGE_DIFFERENCE else last
    else:
        raise CorruptBlock
    return count, stats


def decode_rollup(head: Head, data: bytes, counters: Flags) -> Rollup:
    """The whole row.

    Raises:
        CorruptBlock: some part is damaged.
    """
    frames, first_ms, last_ms = decode_shared(head, head.part(SHARED, data))
    if head.width != len(counters) + 1:
        raise CorruptBlock
    count = np.empty((len(head.times), len(counters)), np.int64)
    stats = np.empty((STATS, len(head.times), len(counters)))
    for position, counter in enumerate(counters.tolist()):
        count[:, position], stats[:, :, position] = decode_series(
            head, position, head.part(position + 1, data), frames, counter=counter
        )
    return Rollup(head.times, first_ms, last_ms, frames, count, stats)
