"""Payloads that could not be sent: on disk, or in memory while the disk cannot be written.

If the disk is full, read-only or broken, payloads stay in memory: up to 8 MiB, then the oldest are dropped. The backlog
logs this once and tries the disk again every minute. Once the disk works, it moves the payloads there.
"""

from collections.abc import Callable

from bongsu.agent.delivery.disk_buffer import DiskBuffer
from bongsu.agent.delivery.memory_buffer import MEMORY_BYTES, MemoryBuffer
from bongsu.agent.delivery.payloads import BufferedBatch, Payload
from bongsu.agent.log import EventLog
from bongsu.core.clock import Clock
from bongsu.core.series import Layout
from bongsu.core.units import format_bytes

RETRY_DISK_SECONDS = 60.0


class Backlog:
    """Not thread-safe; the sender calls it while it holds its lock."""

    def __init__(
        self,
        folder: str,
        *,
        max_bytes: int,
        max_age_ms: int,
        clock: Clock,
        log: EventLog,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._open_disk: Callable[[], DiskBuffer] = lambda: DiskBuffer(
            folder, max_bytes=max_bytes, max_age_ms=max_age_ms, clock=clock
        )
        self._clock = clock
        self._log = log
        self._memory_bytes = memory_bytes
        self._memory = MemoryBuffer(memory_bytes)
        self._disk: DiskBuffer | None = None
        self._disk_failed_at: float | None = None
        try:
            self._disk = self._open_disk()
        except OSError as error:
            self._on_disk_error(error)
        if self._disk is not None and self._disk.damaged:
            log.info("A crash damaged the end of the buffer on disk; the intact part is kept.")

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
        return self._memory.dropped + (self._disk.dropped if self._disk else 0)

    @property
    def on_disk(self) -> bool:
        return self._disk_failed_at is None

    def append(self, payload: Payload, layout: Layout | None) -> None:
        before = self.dropped
        if self._disk_usable():
            try:
                self._move_to_disk()
                self._to_disk(payload, layout)
            except OSError as error:
                self._on_disk_error(error)
                self._memory.append(payload, layout)
        else:
            self._memory.append(payload, layout)
        if self.dropped > before:
            self._log.problem("dropped", "The buffer is full; the oldest frames are dropped.")

    def oldest(self, max_payloads: int, max_bytes: int) -> BufferedBatch:
        if self._disk is not None:
            try:
                batch = self._disk.oldest(max_payloads, max_bytes)
            except OSError as error:
                self._on_disk_error(error)
                batch = BufferedBatch()
            if batch.payloads:
                return batch
        return self._memory.oldest(max_payloads, max_bytes)

    def remove(self, batch: BufferedBatch) -> None:
        """The batch was sent."""
        if not batch.segment:
            self._memory.remove(batch)
        elif self._disk is not None:
            try:
                self._disk.remove(batch)
            except OSError as error:
                self._on_disk_error(error)
        if not len(self):
            self._log.resolved("dropped", "The buffer has room again.")

    def close(self) -> None:
        """Moves the payloads in memory to disk, if it can be written."""
        try:
            if len(self._memory):
                self._disk_failed_at = None
                self._move_to_disk()
            if self._disk is not None:
                self._disk.close()
        except OSError as error:
            self._log.info(
                f"{len(self._memory)} unsent frames are lost, because the buffer cannot be written: {error.strerror}."
            )

    def _disk_usable(self) -> bool:
        return self._disk_failed_at is None or self._clock.monotonic() - self._disk_failed_at >= RETRY_DISK_SECONDS

    def _move_to_disk(self) -> None:
        while len(self._memory):
            queued = self._memory.pop()
            try:
                self._to_disk(*queued)
            except OSError:
                self._memory.push_back(queued)
                raise

    def _to_disk(self, payload: Payload, layout: Layout | None) -> None:
        if self._disk is None:
            self._disk = self._open_disk()
        self._disk.append(payload, layout)
        if self._disk_failed_at is not None:
            self._disk_failed_at = None
            self._log.resolved("buffer", "The buffer is written to disk again.")

    def _on_disk_error(self, error: OSError) -> None:
        self._disk_failed_at = self._clock.monotonic()
        self._log.problem(
            "buffer",
            f"The buffer cannot be written to disk: {error.strerror or error}. Unsent frames are kept in memory, "
            f"at most {format_bytes(self._memory_bytes)}.",
        )
