"""The file format of the disk buffer.

A segment is a sequence of records. Before the first frame of a layout, each segment repeats that layout, so a segment
can be read or deleted on its own::

    record   +----------------+-----------------+------+---------
             | u32 length     | u32 CRC-32      | type | content     length and CRC are of type + content, little-endian
             +----------------+-----------------+------+---------
    layout   "L"  JSON  [id, [[metric, [[label, value], ...], unit, kind], ...]]
    frame    "F"  u64 layout id, i64 Unix ms, doubles
    processes "P" i64 Unix ms, JSON  [[pid, name, user, share of a core, bytes, threads, Unix ms of the start], ...]
    containers "C" i64 Unix ms, JSON  [[container, ...], [event, ...], events dropped], each a list of its fields

A record that a crash cut short, or that the disk corrupted, does not match its CRC. The reader ignores it and the rest
of its segment.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bongsu.agent.delivery.payloads import Payload
from bongsu.core.samples import Container, ContainerEvent, ContainerList, Frame, Process, ProcessList
from bongsu.core.series import Kind, Layout, Series

HEADER = struct.Struct("<II")
_FRAME = struct.Struct("<Qq")
_TIME = struct.Struct("<q")
# Longer than any record: a layout of 5,000 series with long labels takes about 2 MB.
MAX_RECORD_BYTES = 16 * 1024**2


def layout_record(layout: Layout) -> bytes:
    series = [[item.metric, item.labels, item.unit, item.kind.value] for item in layout.series]
    return _record(b"L" + json.dumps([layout.id, series], separators=(",", ":")).encode())


def payload_record(payload: Payload) -> bytes:
    if isinstance(payload, Frame):
        return _record(b"F" + _FRAME.pack(payload.layout_id, payload.time_ms) + payload.values)
    if isinstance(payload, ProcessList):
        return _list_record(b"P", payload.time_ms, payload.processes)
    return _list_record(b"C", payload.time_ms, [payload.containers, payload.events, payload.events_dropped])


def _list_record(kind: bytes, time_ms: int, content: Sequence[Any]) -> bytes:
    return _record(kind + _TIME.pack(time_ms) + json.dumps(content, separators=(",", ":")).encode())


def _record(content: bytes) -> bytes:
    return HEADER.pack(len(content), zlib.crc32(content)) + content


def records(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """The content of each record from ``start`` on, with the position after it. Stops at the first damaged record."""
    position = start
    while position + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, position)
        end = position + HEADER.size + length
        if not 0 < length <= MAX_RECORD_BYTES or end > len(data):
            return
        content = data[position + HEADER.size : end]
        if zlib.crc32(content) != checksum:
            return
        yield content, end
        position = end


def read_layout(content: bytes) -> Layout:
    """Raises ValueError or TypeError if the content is not a layout."""
    layout_id, series = json.loads(content[1:])
    return Layout(
        int(layout_id),
        tuple(
            Series(metric, tuple((name, value) for name, value in labels), unit, Kind(kind))
            for metric, labels, unit, kind in series
        ),
    )


def read_payload(content: bytes) -> Payload | None:
    """None if the record is of another type."""
    if content[:1] == b"F":
        layout_id, time_ms = _FRAME.unpack_from(content, 1)
        return Frame(layout_id, time_ms, content[1 + _FRAME.size :])
    if content[:1] == b"P":
        rows = json.loads(content[1 + _TIME.size :])
        return ProcessList(_TIME.unpack_from(content, 1)[0], [Process(*row) for row in rows])
    if content[:1] == b"C":
        containers, events, dropped = json.loads(content[1 + _TIME.size :])
        return ContainerList(
            _TIME.unpack_from(content, 1)[0],
            [Container(*row) for row in containers],
            [ContainerEvent(*row) for row in events],
            dropped,
        )
    return None


def payload_time(content: bytes) -> int | None:
    """The time stamp of a frame or list; None if the record is of another type."""
    if content[:1] == b"F":
        return int(_FRAME.unpack_from(content, 1)[1])
    return int(_TIME.unpack_from(content, 1)[0]) if content[:1] in (b"P", b"C") else None


class SegmentSummary(NamedTuple):
    """``oldest_ms`` and ``newest_ms`` are 0 in a segment without payloads. ``intact_bytes``: length up to the first
    damaged record."""

    payloads: int = 0
    oldest_ms: int = 0
    newest_ms: int = 0
    intact_bytes: int = 0


def summarise(data: bytes) -> SegmentSummary:
    payloads = oldest_ms = newest_ms = intact_bytes = 0
    for content, end in records(data):
        intact_bytes = end
        time_ms = payload_time(content)
        if time_ms is not None:
            oldest_ms = min(oldest_ms or time_ms, time_ms)
            newest_ms = max(newest_ms, time_ms)
            payloads += 1
    return SegmentSummary(payloads, oldest_ms, newest_ms, intact_bytes)
