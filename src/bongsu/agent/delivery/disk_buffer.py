"""Unsent payloads on disk, in numbered segments of about 1 MiB in ``<data directory>/buffer``.

``bongsu.agent.delivery.segments`` describes the format.

* ``append`` returns after the kernel has the record, so kill -9 loses nothing. A power cut loses at most the last
  ``SYNC_SECONDS``.
* When the agent starts, it cuts off a record that a crash left incomplete.
* Over ``max_bytes``, the oldest segment is deleted. So is a segment whose newest payload is older than ``max_age_ms``.
  Dropped payloads are counted, once each.
* The file ``cursor`` holds the reading position in one segment. It is deleted with that segment, and no later segment
  gets the same number, so a cursor that outlives its segment never skips frames. If it is missing or stale after a
  crash, payloads are sent twice, and the API server keeps one.
"""

import contextlib
import os
import struct
import zlib
from collections import deque
from dataclasses import dataclass

from bongsu.agent.delivery.payloads import BatchLimit, BufferedBatch, Payload, QueuedPayload
from bongsu.agent.delivery.segments import (
    layout_record,
    payload_record,
    payload_time,
    read_layout,
    read_payload,
    records,
    summarise,
)
from bongsu.core.clock import Clock
from bongsu.core.samples import Frame
from bongsu.core.series import Layout

SEGMENT_BYTES = 1_048_576
SYNC_SECONDS = 30.0
# Version, segment number, position, CRC-32 of the rest. Version 1 had no version field, and could outlive its segment.
_CURSOR = struct.Struct("<IQQI")
_CURSOR_VERSION = 2
_SUFFIX = ".segment"


@dataclass(slots=True)
class _Segment:
    number: int
    path: str
    size_bytes: int = 0
    payloads: int = 0
    oldest_ms: int = 0
    newest_ms: int = 0


class DiskBuffer:
    """Every method may raise OSError."""

    def __init__(
        self, folder: str, *, max_bytes: int, max_age_ms: int, clock: Clock, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self._cursor_path = os.path.join(folder, "cursor")
        self._max_bytes = max_bytes
        self._max_age_ms = max_age_ms
        self._clock = clock
        self._segment_bytes = min(segment_bytes, max(4096, max_bytes // 4))
        self._segments: deque[_Segment] = deque()
        self._next_number = 1
        self._write_descriptor: int | None = None
        self._written_layouts: set[int] = set()
        self._unsynced_since: float | None = None
        self._read_position = 0
        # the layouts of the oldest segment
        self._layouts: dict[int, Layout] = {}
        self.dropped = 0
        self.damaged = 0
        self.size_bytes = 0
        self._open()

    def __len__(self) -> int:
        return sum(segment.payloads for segment in self._segments)

    @property
    def oldest_ms(self) -> int:
        return self._segments[0].oldest_ms if self._segments else 0

    def append(self, payload: Payload, layout: Layout | None) -> None:
        """If it raises OSError, nothing of the payload is on disk."""
        segment = self._segment_to_write()
        assert self._write_descriptor is not None
        record = payload_record(payload)
        if layout is not None and layout.id not in self._written_layouts:
            record = layout_record(layout) + record
        try:
            written = os.write(self._write_descriptor, record)
            if written < len(record):
                raise OSError(28, "No space left on device")
        except OSError:
            os.ftruncate(self._write_descriptor, segment.size_bytes)
            os.lseek(self._write_descriptor, segment.size_bytes, os.SEEK_SET)
            raise
        if layout is not None:
            self._written_layouts.add(layout.id)
        segment.size_bytes += len(record)
        segment.payloads += 1
        segment.oldest_ms = min(segment.oldest_ms or payload.time_ms, payload.time_ms)
        segment.newest_ms = max(segment.newest_ms, payload.time_ms)
        self.size_bytes += len(record)
        now = self._clock.monotonic()
        if self._unsynced_since is None:
            self._unsynced_since = now
        if now - self._unsynced_since >= SYNC_SECONDS:
            self._sync()
        self._shrink()

    def oldest(self, max_payloads: int, max_bytes: int) -> BufferedBatch:
        """The oldest payloads. Skips those older than the maximum age."""
        while self._segments:
            batch = self._from_segment(self._segments[0], max_payloads, max_bytes)
            if batch.payloads:
                return batch
            # What is left of the segment is too old, or damaged since the agent started.
            self._delete_oldest(dropped=self._segments[0].payloads)
        return BufferedBatch()

    def remove(self, batch: BufferedBatch) -> None:
        """The batch was sent."""
        if not self._segments or self._segments[0].number != batch.segment:
            return  # deleted in the meantime to make room
        segment = self._segments[0]
        segment.payloads -= batch.consumed
        self.dropped += batch.skipped
        if batch.end >= segment.size_bytes:
            self._delete_oldest(dropped=segment.payloads)
            return
        self._read_position = batch.end
        self._save_cursor()

    def close(self) -> None:
        if self._write_descriptor is not None:
            self._sync()
            os.close(self._write_descriptor)
            self._write_descriptor = None

    def _open(self) -> None:
        os.makedirs(self._folder, mode=0o750, exist_ok=True)
        for name in sorted(os.listdir(self._folder)):
            if not name.endswith(_SUFFIX) or not name.removesuffix(_SUFFIX).isdecimal():
                continue
            segment = _Segment(int(name.removesuffix(_SUFFIX)), os.path.join(self._folder, name))
            data = _read(segment.path)
            segment.payloads, segment.oldest_ms, segment.newest_ms, segment.size_bytes = summarise(data)
            if segment.size_bytes < len(data):
                self.damaged += 1
                os.truncate(segment.path, segment.size_bytes)
            if segment.payloads:
                self._segments.append(segment)
                self.size_bytes += segment.size_bytes
            else:
                os.unlink(segment.path)
            self._next_number = segment.number + 1
        self._load_cursor()
        self._shrink()

    def _segment_to_write(self) -> _Segment:
        if (
            self._write_descriptor is not None
            and self._segments
            and self._segments[-1].size_bytes < self._segment_bytes
        ):
            return self._segments[-1]
        self.close()
        # A new file after a start too, because the end of an old file may be damaged.
        segment = _Segment(self._next_number, os.path.join(self._folder, f"{self._next_number:012d}{_SUFFIX}"))
        self._write_descriptor = os.open(
            segment.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o640
        )
        self._written_layouts.clear()
        self._segments.append(segment)
        self._next_number += 1
        return segment

    def _from_segment(self, segment: _Segment, max_payloads: int, max_bytes: int) -> BufferedBatch:
        data = _read(segment.path)
        batch = BufferedBatch(segment=segment.number, end=self._read_position)
        oldest_allowed_ms = self._clock.now_ms() - self._max_age_ms
        if not self._read_position or not self._layouts:
            self._layouts = {layout.id: layout for layout in _layouts(data)}
        limit = BatchLimit(max_payloads, max_bytes)
        for content, end in records(data, self._read_position):
            payload = read_payload(content)
            if payload is not None:
                layout = self._layout_of(payload, data)
                if payload.time_ms < oldest_allowed_ms or (layout is None and isinstance(payload, Frame)):
                    batch.skipped += 1
                elif limit.takes(payload):
                    batch.payloads.append(QueuedPayload(payload, layout))
                else:
                    break
                batch.consumed += 1
            batch.end = end
        return batch

    def _layout_of(self, payload: Payload, data: bytes) -> Layout | None:
        if not isinstance(payload, Frame):
            return None
        if payload.layout_id not in self._layouts:  # written since this segment was last read
            self._layouts = {layout.id: layout for layout in _layouts(data)}
        return self._layouts.get(payload.layout_id)

    def _delete_oldest(self, *, dropped: int) -> None:
        segment = self._segments.popleft()
        if not self._segments and self._write_descriptor is not None:
            os.close(self._write_descriptor)
            self._write_descriptor = None
            self._unsynced_since = None
        self.dropped += dropped
        self.size_bytes -= segment.size_bytes
        self._read_position = 0
        self._layouts = {}
        # the cursor last: without a cursor, the segment would be sent again from its start
        os.unlink(segment.path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._cursor_path)

    def _shrink(self) -> None:
        oldest_allowed_ms = self._clock.now_ms() - self._max_age_ms
        while len(self._segments) > 1 and (
            self.size_bytes > self._max_bytes or self._segments[0].newest_ms < oldest_allowed_ms
        ):
            self._delete_oldest(dropped=self._segments[0].payloads)

    def _sync(self) -> None:
        if self._write_descriptor is not None and self._unsynced_since is not None:
            os.fsync(self._write_descriptor)
        self._unsynced_since = None

    def _save_cursor(self) -> None:
        content = _CURSOR.pack(_CURSOR_VERSION, self._segments[0].number, self._read_position, 0)[:-4]
        with open(self._cursor_path, "wb") as file:
            file.write(content + zlib.crc32(content).to_bytes(4, "little"))

    def _load_cursor(self) -> None:
        try:
            content = _read(self._cursor_path)
            version, number, position, checksum = _CURSOR.unpack(content)
        except (OSError, struct.error):
            return
        if version != _CURSOR_VERSION or checksum != zlib.crc32(content[:-4]):
            return
        self._next_number = max(self._next_number, number + 1)
        if self._segments and self._segments[0].number == number:
            segment = self._segments[0]
            self._read_position = min(position, segment.size_bytes)
            unread = records(_read(segment.path), self._read_position)
            segment.payloads = sum(payload_time(content) is not None for content, _ in unread)


def _layouts(data: bytes) -> list[Layout]:
    return [read_layout(content) for content, _ in records(data) if content[:1] == b"L"]


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
