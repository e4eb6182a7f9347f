"""The files of the disk buffer.

A segment holds records one after another; a frame's layout stands before the first frame that needs it in the same
segment, so each segment can be read, or thrown away, alone::

    record   +----------------+-----------------+------+---------
             | u32 length     | u32 CRC-32      | type | content     length and CRC are of type + content, little-endian
             +----------------+-----------------+------+---------
    layout   "L"  JSON  [id, [[metric, [[label, value], ...], unit, kind], ...]]
    frame    "F"  u64 layout id, i64 Unix ms, doubles
    processes "P" i64 Unix ms, JSON  [[pid, name, user, share of a core, bytes, threads, Unix ms of the start], ...]

A record that was cut short by a crash, or that rotted, does not match its CRC. Nothing after it in its segment is
believed.
"""

import json
import struct
import zlib
from collections.abc import Iterator

from bongsu.core.samples import Frame, Process, ProcessList
from bongsu.core.series import Kind, Layout, Series

HEADER = struct.Struct("<II")
_FRAME = struct.Struct("<Qq")
_TIME = struct.Struct("<q")
# What a process of a list takes in memory, about; 40 bytes on the wire.
_PROCESS_BYTES = 300
# Above any record: 5,000 series with long labels make a layout of about 2 MB.
LONGEST_RECORD = 16 * 1024**2


# What is sent: a frame with its layout, or a process list, which has none.
Item = Frame | ProcessList


def size_of(item: Item) -> int:
    """Bytes, for bounds."""
    return len(item.values) if isinstance(item, Frame) else _PROCESS_BYTES * len(item.processes)


def layout_record(layout: Layout) -> bytes:
    series = [[one.metric, one.labels, one.unit, one.kind.value] for one in layout.series]
    return _record(b"L" + json.dumps([layout.id, series], separators=(",", ":")).encode())


def item_record(item: Item) -> bytes:
    if isinstance(item, Frame):
        return _record(b"F" + _FRAME.pack(item.layout_id, item.time_ms) + item.values)
    return _record(b"P" + _TIME.pack(item.time_ms) + json.dumps(item.processes, separators=(",", ":")).encode())


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


def read_item(content: bytes) -> Item | None:
    """None for a record of another type."""
    if content[:1] == b"F":
        layout_id, time_ms = _FRAME.unpack_from(content, 1)
        return Frame(layout_id, time_ms, content[1 + _FRAME.size :])
    if content[:1] == b"P":
        rows = json.loads(content[1 + _TIME.size :])
        return ProcessList(_TIME.unpack_from(content, 1)[0], [Process(*row) for row in rows])
    return None


def item_time(content: bytes) -> int | None:
    """The time stamp of a frame or a list; None for a record of another type."""
    if content[:1] == b"F":
        return int(_FRAME.unpack_from(content, 1)[1])
    return int(_TIME.unpack_from(content, 1)[0]) if content[:1] == b"P" else None


def item_times(data: bytes) -> tuple[int, int, int, int]:
    """Frames and lists in a segment, oldest and newest time stamp of them (0 if none), and the length of its sound
    part."""
    count = oldest = newest = sound = 0
    for content, end in records(data):
        sound = end
        time_ms = item_time(content)
        if time_ms is not None:
            oldest = min(oldest or time_ms, time_ms)
            newest = max(newest, time_ms)
            count += 1
    return count, oldest, newest, sound
