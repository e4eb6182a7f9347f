"""The files of the disk buffer.

A segment holds records one after another; a frame's layout stands before the first frame that needs it in the same
segment, so each segment can be read, or thrown away, alone::

    record   +----------------+-----------------+------+---------
             | u32 length     | u32 CRC-32      | type | content     length and CRC are of type + content, little-endian
             +----------------+-----------------+------+---------
    layout   "L"  JSON  [id, [[metric, [[label, value], ...], unit, kind], ...]]
    frame    "F"  u64 layout id, i64 Unix ms, doubles

A record that was cut short by a crash, or that rotted, does not match its CRC. Nothing after it in its segment is
believed.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from bongsu.core.samples import Frame
from bongsu.core.series import Kind, Layout, Series

HEADER = struct.Struct("<II")
_FRAME = struct.Struct("<Qq")
# Above any record: 5,000 series with long labels make a layout of about 2 MB.
LONGEST_RECORD = 16 * 1024**2


class Entry(NamedTuple):
    """A frame as it stands in a segment. ``end``: where the next record starts."""

    layout_id: int
    time_ms: int
    values: bytes
    end: int


def layout_record(layout: Layout) -> bytes:
    series = [[one.metric, one.labels, one.unit, one.kind.value] for one in layout.series]
    return _record(b"L" + json.dumps([layout.id, series], separators=(",", ":")).encode())


def frame_record(frame: Frame) -> bytes:
    return _record(b"F" + _FRAME.pack(frame.layout_id, frame.time_ms) + frame.values)


def _record(content: bytes) -> bytes:
    return HEADER.pack(len(content), zlib.crc32(content)) + content


def records(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Sound records from ``start`` on, each with the place behind it; ends before the first that is not sound."""
    place = start
    while place + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, place)
        end = place + HEADER.size + length
        if not 0 < length <= LONGEST_RECORD or end > len(data):
            return
        content = data[place + HEADER.size : end]
        if zlib.crc32(content) != checksum:
            return
        yield content, end
        place = end


def read_layout(content: bytes) -> Layout:
    """Raises ValueError or TypeError when the record is sound but is not a layout."""
    number, series = json.loads(content[1:])
    return Layout(
        int(number),
        tuple(
            Series(metric, tuple((name, value) for name, value in labels), unit, Kind(kind))
            for metric, labels, unit, kind in series
        ),
    )


def read_frame(content: bytes, end: int) -> Entry:
    layout_id, time_ms = _FRAME.unpack_from(content, 1)
    return Entry(layout_id, time_ms, content[1 + _FRAME.size :], end)


def frame_times(data: bytes) -> tuple[int, int, int, int]:
    """Frames in a segment, oldest and newest time stamp of them (0 if none), and the length of its sound part."""
    count = oldest = newest = sound = 0
    for content, end in records(data):
        sound = end
        if content[:1] == b"F":
            time_ms = _FRAME.unpack_from(content, 1)[1]
            oldest = min(oldest or time_ms, time_ms)
            newest = max(newest, time_ms)
            count += 1
    return count, oldest, newest, sound
