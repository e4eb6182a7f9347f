"""Frames and process lists that could not be sent, on disk: segments of about 1 MiB in ``<data directory>/buffer`` (see
``bongsu.agent.delivery.segments``), oldest first by their number.

* kill -9 loses nothing: a record is handed to the kernel before ``append`` returns. A power cut loses at most the last
  ``SYNC_SECONDS``.
* A record cut short is found by its CRC when the agent starts, and cut off.
* Over ``max_bytes`` the oldest segment goes first; so does a segment whose newest frame is older than ``max_age_ms``.
  Both are counted.
* Where reading has come to is kept in the file ``cursor``. Stale after a crash: frames are sent twice, and the API
  server keeps one.
"""

import os
import struct
import zlib
from collections import deque
from dataclasses import dataclass, field

from bongsu.agent.delivery.segments import (
    Item,
    item_record,
    item_time,
    item_times,
    layout_record,
    read_item,
    read_layout,
    records,
    size_of,
)
from bongsu.core.clock import Clock
from bongsu.core.samples import Frame
from bongsu.core.series import Layout

SEGMENT_BYTES = 1_048_576
SYNC_SECONDS = 30.0
_CURSOR = struct.Struct("<QQI")
_SUFFIX = ".segment"


@dataclass(slots=True)
class Batch:
    """Frames to send; ``segment`` 0: from memory. ``end``: where the next frame of the segment starts. ``read``: with
    skipped ones."""

    items: list[tuple[Item, Layout | None]] = field(default_factory=list)
    segment: int = 0
    end: int = 0
    read: int = 0


@dataclass(slots=True)
class _Segment:
    number: int
    path: str
    size: int = 0
    frames: int = 0
    oldest_ms: int = 0
    newest_ms: int = 0


class DiskBuffer:
    """Segments in a folder. Raises OSError where the disk does."""

    def __init__(
        self, folder: str, *, max_bytes: int, max_age_ms: int, clock: Clock, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age_ms = max_age_ms
        self._clock = clock
        self._segment_bytes = min(segment_bytes, max(4096, max_bytes // 4))
        self._segments: deque[_Segment] = deque()
        self._next = 1
        self._writing: int | None = None
        self._written_layouts: set[int] = set()
        self._unsynced_since: float | None = None
        self._read_at = 0
        self._layouts: dict[int, Layout] = {}
        self.dropped = 0
        self.damaged = 0
        self.size_bytes = 0
        self._open()

    def __len__(self) -> int:
        return sum(segment.frames for segment in self._segments)

    @property
    def oldest_ms(self) -> int:
        return self._segments[0].oldest_ms if self._segments else 0

    def append(self, item: Item, layout: Layout | None) -> None:
        """Raises OSError; then nothing of the item is on disk."""
        segment = self._segment_to_write()
        assert self._writing is not None
        record = item_record(item)
        if layout is not None and layout.id not in self._written_layouts:
            record = layout_record(layout) + record
        try:
            written = os.write(self._writing, record)
            if written < len(record):
                raise OSError(28, "No space left on device")
        except OSError:
            os.ftruncate(self._writing, segment.size)
            os.lseek(self._writing, segment.size, os.SEEK_SET)
            raise
        if layout is not None:
            self._written_layouts.add(layout.id)
        segment.size += len(record)
        segment.frames += 1
        segment.oldest_ms = min(segment.oldest_ms or item.time_ms, item.time_ms)
        segment.newest_ms = max(segment.newest_ms, item.time_ms)
        self.size_bytes += len(record)
        now = self._clock.monotonic()
        if self._unsynced_since is None:
            self._unsynced_since = now
        if now - self._unsynced_since >= SYNC_SECONDS:
            self._sync()
        self._shrink()

    def oldest(self, max_frames: int, max_bytes: int) -> Batch:
        """The oldest frames, at most as many; those too old to be of use are skipped."""
        while self._segments:
            batch = self._from_segment(self._segments[0], max_frames, max_bytes)
            if batch.items:
                return batch
            # read to its end, or nothing sound is left in it
            self._drop_first(counted=max(0, self._segments[0].frames - batch.read))
        return Batch()

    def done(self, batch: Batch) -> None:
        """The frames of a batch are stored elsewhere."""
        if not self._segments or self._segments[0].number != batch.segment:
            return  # dropped meanwhile to make room
        segment = self._segments[0]
        segment.frames -= batch.read
        if batch.end >= segment.size:
            self._drop_first(counted=0)
            return
        self._read_at = batch.end
        self._save_cursor()

    def close(self) -> None:
        if self._writing is not None:
            self._sync()
            os.close(self._writing)
            self._writing = None

    def _open(self) -> None:
        os.makedirs(self._folder, mode=0o750, exist_ok=True)
        for name in sorted(os.listdir(self._folder)):
            if not name.endswith(_SUFFIX) or not name.removesuffix(_SUFFIX).isdecimal():
                continue
            segment = _Segment(int(name.removesuffix(_SUFFIX)), os.path.join(self._folder, name))
            data = _read(segment.path)
            segment.frames, segment.oldest_ms, segment.newest_ms, segment.size = item_times(data)
            if segment.size < len(data):
                self.damaged += 1
                os.truncate(segment.path, segment.size)
            if segment.frames:
                self._segments.append(segment)
                self.size_bytes += segment.size
            else:
                os.unlink(segment.path)
            self._next = segment.number + 1
        self._load_cursor()
        self._shrink()

    def _segment_to_write(self) -> _Segment:
        if self._writing is not None and self._segments and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        self.close()
        # A new file after a start as well: behind the end of an old one there is nothing to trust.
        segment = _Segment(self._next, os.path.join(self._folder, f"{self._next:012d}{_SUFFIX}"))
        self._writing = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o640)
        self._written_layouts.clear()
        self._segments.append(segment)
        self._next += 1
        return segment

    def _from_segment(self, segment: _Segment, max_frames: int, max_bytes: int) -> Batch:
        data = _read(segment.path)
        batch = Batch(segment=segment.number, end=self._read_at)
        too_old_ms = self._clock.now_ms() - self._max_age_ms
        if not self._read_at or not self._layouts:
            self._layouts = {layout.id: layout for layout in _layouts(data)}
        size = 0
        for content, end in records(data, self._read_at):
            item = read_item(content)
            if item is not None:
                if batch.items and (len(batch.items) >= max_frames or size + size_of(item) > max_bytes):
                    break
                batch.read += 1
                layout = self._layout_of(item, data)
                if item.time_ms < too_old_ms or (layout is None and isinstance(item, Frame)):
                    self.dropped += 1
                else:
                    batch.items.append((item, layout))
                    size += size_of(item)
            batch.end = end
        return batch

    def _layout_of(self, item: Item, data: bytes) -> Layout | None:
        if not isinstance(item, Frame):
            return None
        if item.layout_id not in self._layouts:  # written later than this segment was last looked at
            self._layouts = {one.id: one for one in _layouts(data)}
        return self._layouts.get(item.layout_id)

    def _drop_first(self, *, counted: int) -> None:
        segment = self._segments.popleft()
        if not self._segments and self._writing is not None:
            os.close(self._writing)
            self._writing = None
            self._unsynced_since = None
        self.dropped += counted
        self.size_bytes -= segment.size
        self._read_at = 0
        self._layouts = {}
        os.unlink(segment.path)

    def _shrink(self) -> None:
        too_old_ms = self._clock.now_ms() - self._max_age_ms
        while len(self._segments) > 1 and (
            self.size_bytes > self._max_bytes or self._segments[0].newest_ms < too_old_ms
        ):
            self._drop_first(counted=self._segments[0].frames)

    def _sync(self) -> None:
        if self._writing is not None and self._unsynced_since is not None:
            os.fsync(self._writing)
        self._unsynced_since = None

    def _save_cursor(self) -> None:
        content = struct.pack("<QQ", self._segments[0].number, self._read_at)
        with open(os.path.join(self._folder, "cursor"), "wb") as file:
            file.write(content + zlib.crc32(content).to_bytes(4, "little"))

    def _load_cursor(self) -> None:
        try:
            number, place, checksum = _CURSOR.unpack(_read(os.path.join(self._folder, "cursor")))
        except (OSError, struct.error):
            return
        if checksum != zlib.crc32(struct.pack("<QQ", number, place)):
            return
        while self._segments and self._segments[0].number < number:
            self._drop_first(counted=0)  # sent, but the crash came before it was deleted
        if self._segments and self._segments[0].number == number:
            segment = self._segments[0]
            self._read_at = min(place, segment.size)
            left = records(_read(segment.path), self._read_at)
            segment.frames = sum(item_time(content) is not None for content, _ in left)


def _layouts(data: bytes) -> list[Layout]:
    return [read_layout(content) for content, _ in records(data) if content[:1] == b"L"]


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
