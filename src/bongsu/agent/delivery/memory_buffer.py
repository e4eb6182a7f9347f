"""Unsent payloads in memory, while the disk cannot be written."""

from collections import deque

from bongsu.agent.delivery.payloads import BatchLimit, BufferedBatch, Payload, QueuedPayload, size_of
from bongsu.core.series import Layout

# 6,000 frames of 150 series: 17 hours at 10 s.
MEMORY_BYTES = 8 * 1024**2


class MemoryBuffer:
    """A bounded queue. If it is full, it drops the oldest payload and counts it in ``dropped``."""

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._queue: deque[QueuedPayload] = deque()
        self._removed = 0
        self.size_bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def oldest_ms(self) -> int:
        return self._queue[0].payload.time_ms if self._queue else 0

    def append(self, payload: Payload, layout: Layout | None) -> None:
        self._queue.append(QueuedPayload(payload, layout))
        self.size_bytes += size_of(payload)
        while self.size_bytes > self._max_bytes and len(self._queue) > 1:
            self.pop()
            self.dropped += 1

    def pop(self) -> QueuedPayload:
        queued = self._queue.popleft()
        self.size_bytes -= size_of(queued.payload)
        self._removed += 1
        return queued

    def push_back(self, queued: QueuedPayload) -> None:
        self._queue.appendleft(queued)
        self.size_bytes += size_of(queued.payload)
        self._removed -= 1

    def oldest(self, max_payloads: int, max_bytes: int) -> BufferedBatch:
        """``end`` of the batch counts payloads since the process started."""
        batch = BufferedBatch(end=self._removed)
        limit = BatchLimit(max_payloads, max_bytes)
        for queued in self._queue:
            if not limit.takes(queued.payload):
                break
            batch.payloads.append(queued)
        batch.consumed = len(batch.payloads)
        batch.end += batch.consumed
        return batch

    def remove(self, batch: BufferedBatch) -> None:
        while self._queue and self._removed < batch.end:
            self.pop()
