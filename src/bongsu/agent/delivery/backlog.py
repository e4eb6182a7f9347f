"""Frames and process lists that could not be sent: on disk, and in memory while the disk takes none.

Disk full, read-only or broken: frames stay in memory (8 MiB, oldest dropped first), which is said once; the disk is
tried again every minute, and then gets what memory holds.
"""

import os
from collections import deque
from collections.abc import Callable

from bongsu.agent.delivery.disk_buffer import Batch, DiskBuffer
from bongsu.agent.delivery.segments import Item, size_of
from bongsu.agent.sampling.scheduler import Say
from bongsu.core.clock import Clock
from bongsu.core.errors import ConfigError
from bongsu.core.series import Layout
from bongsu.core.units import format_bytes

# 6,000 frames of 150 series: 17 hours at 10 s.
MEMORY_BYTES = 8 * 1024**2
RETRY_DISK_SECONDS = 60.0


class MemoryBuffer:
    """A bounded queue. ``dropped`` counts what did not fit."""

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._items: deque[tuple[Item, Layout | None]] = deque()
        self._removed = 0
        self.size_bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def oldest_ms(self) -> int:
        return self._items[0][0].time_ms if self._items else 0

    def append(self, item: Item, layout: Layout | None) -> None:
        self._items.append((item, layout))
        self.size_bytes += size_of(item)
        while self.size_bytes > self._max_bytes and len(self._items) > 1:
            self.pop()
            self.dropped += 1

    def pop(self) -> tuple[Item, Layout | None]:
        item = self._items.popleft()
        self.size_bytes -= size_of(item[0])
        self._removed += 1
        return item

    def push_back(self, item: tuple[Item, Layout | None]) -> None:
        self._items.appendleft(item)
        self.size_bytes += size_of(item[0])
        self._removed -= 1

    def oldest(self, max_frames: int, max_bytes: int) -> Batch:
        """``end`` is the number of the item after the last one, counted from the start of the process."""
        batch = Batch(end=self._removed)
        size = 0
        for item, layout in self._items:
            size += size_of(item)
            if batch.items and (len(batch.items) >= max_frames or size > max_bytes):
                break
            batch.items.append((item, layout))
        batch.read = len(batch.items)
        batch.end += batch.read
        return batch

    def done(self, batch: Batch) -> None:
        while self._items and self._removed < batch.end:
            self.pop()


class Backlog:
    """The disk, and memory where the disk fails. Not for several threads at once: the sender holds its lock."""

    def __init__(
        self, folder: str, *, max_bytes: int, max_age_ms: int, clock: Clock, say: Say, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._open: Callable[[], DiskBuffer] = lambda: DiskBuffer(
            folder, max_bytes=max_bytes, max_age_ms=max_age_ms, clock=clock
        )
        self._clock = clock
        self._say = say
        self._memory = MemoryBuffer(memory_bytes)
        self._disk: DiskBuffer | None = None
        self._disk_failed_at: float | None = None
        self._lost = 0
        try:
            self._disk = self._open()
        except OSError as error:
            self._disk_fails(error)
        if self._disk is not None and self._disk.damaged:
            say.info("The buffer on disk was cut short by a crash; its sound part is kept.")

    def __len__(self) -> int:
        return len(self._memory) + (len(self._disk) if self._disk else 0)

    @property
    def size_bytes(self) -> int:
        return self._memory.size_bytes + (self._disk.size_bytes if self._disk else 0)

    @property
    def oldest_ms(self) -> int:
        return (self._disk.oldest_ms if self._disk else 0) or self._memory.oldest_ms

    @property
    def dropped(self) -> int:
        return self._lost + self._memory.dropped + (self._disk.dropped if self._disk else 0)

    @property
    def on_disk(self) -> bool:
        return self._disk_failed_at is None

    def append(self, item: Item, layout: Layout | None) -> None:
        before = self.dropped
        if self._disk_usable():
            try:
                self._move_to_disk()
                self._to_disk(item, layout)
            except OSError as error:
                self._disk_fails(error)
                self._memory.append(item, layout)
        else:
            self._memory.append(item, layout)
        if self.dropped > before:
            self._say.once("dropped", "The buffer is full: the oldest frames are dropped to make room.")

    def oldest(self, max_frames: int, max_bytes: int) -> Batch:
        if self._disk is not None:
            try:
                batch = self._disk.oldest(max_frames, max_bytes)
            except OSError as error:
                self._disk_fails(error)
                batch = Batch()
            if batch.items:
                return batch
        return self._memory.oldest(max_frames, max_bytes)

    def done(self, batch: Batch) -> None:
        if not batch.segment:
            self._memory.done(batch)
        elif self._disk is not None:
            try:
                self._disk.done(batch)
            except OSError as error:
                self._disk_fails(error)
        if not len(self):
            self._say.over("dropped", "The buffer has room again.")

    def close(self) -> None:
        """Brings what memory holds to disk, if the disk takes it."""
        try:
            if len(self._memory):
                self._disk_failed_at = None
                self._move_to_disk()
            if self._disk is not None:
                self._disk.close()
        except OSError as error:
            self._say.info(
                f"{len(self._memory)} unsent frames are lost, since the buffer cannot be written: {error.strerror}."
            )

    def _disk_usable(self) -> bool:
        return self._disk_failed_at is None or self._clock.monotonic() - self._disk_failed_at >= RETRY_DISK_SECONDS

    def _move_to_disk(self) -> None:
        while len(self._memory):
            item = self._memory.pop()
            try:
                self._to_disk(*item)
            except OSError:
                self._memory.push_back(item)
                raise

    def _to_disk(self, item: Item, layout: Layout | None) -> None:
        if self._disk is None:
            self._disk = self._open()
        self._disk.append(item, layout)
        if self._disk_failed_at is not None:
            self._disk_failed_at = None
            self._say.over("buffer", "The buffer is written to disk again.")

    def _disk_fails(self, error: OSError) -> None:
        self._disk_failed_at = self._clock.monotonic()
        self._say.once(
            "buffer",
            f"The buffer cannot be written to disk: {error.strerror or error}. Unsent frames are kept in memory, "
            f"at most {format_bytes(MEMORY_BYTES)}.",
        )


def lock(data_dir: str) -> int:
    """Takes the data directory for this process, until it ends. Returns the file descriptor that holds it.

    Raises:
        ConfigError: another agent has it.
    """
    path = os.path.join(data_dir, "lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(f"Another agent uses {data_dir} already; give this one a --data-dir of its own.") from None
    return descriptor
