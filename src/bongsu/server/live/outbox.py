"""What waits to be sent to one client: bounded, however slow the client is."""

import asyncio
from collections import deque
from collections.abc import Callable

from bongsu.wire import live

# More than the newest frame of each stream waits only up to here.
OUTBOX_BYTES = 512 * 1024
MESSAGE_BYTES = 128 * 1024


class Outbox:
    """Parts of messages. A client that is too slow gets the newest frame of each stream, and is told of the gap."""

    def __init__(self) -> None:
        self.waiting = False
        # Called when something begins to wait.
        self.on_waiting: Callable[[], None] = lambda: None
        # Cleared while so much waits that nothing more should be asked for.
        self.room = asyncio.Event()
        self.room.set()
        # Frames that were left out because the client was too slow.
        self.dropped = 0
        self._parts: deque[bytes] = deque()
        self._part_bytes = 0
        # Stream id -> server id, and (time, encoded) of its frames, oldest first.
        self._frames: dict[int, tuple[int, list[tuple[int, bytes]]]] = {}
        self._frame_bytes = 0
        self._newest_only = False
        # Server id -> first and last time of what was not sent.
        self._gaps: dict[int, tuple[int, int]] = {}

    def wake(self) -> None:
        """Something waits."""
        if not self.waiting:
            self.waiting = True
            self.on_waiting()

    def put(self, part: bytes) -> None:
        """Adds a part that must arrive. Parts arrive in order, and before the frames that were added after them."""
        self._parts.append(part)
        self._part_bytes += len(part)
        if self._part_bytes > OUTBOX_BYTES:
            self.room.clear()
        self.wake()

    def put_frame(self, stream_id: int, server_id: int, time_ms: int, part: bytes) -> None:
        """Adds the frame of a stream, which is newer than those before it."""
        _, frames = self._frames.setdefault(stream_id, (server_id, []))
        if self._newest_only:
            self._leave_out(server_id, frames)
            frames.clear()
        frames.append((time_ms, part))
        self._frame_bytes += len(part)
        if self._frame_bytes > OUTBOX_BYTES and not self._newest_only:
            self._newest_only = True
            for server, waiting in self._frames.values():
                self._leave_out(server, waiting[:-1])
                del waiting[:-1]
        self.wake()

    def missed(self, server_id: int, start_ms: int, end_ms: int) -> None:
        """Notes that frames of this range are not sent; ``end_ms`` is inclusive."""
        known = self._gaps.get(server_id, (start_ms, end_ms))
        self._gaps[server_id] = (min(start_ms, known[0]), max(end_ms, known[1]))
        self.wake()

    def forget(self, stream_id: int) -> None:
        """Drops the frames of a stream that the client does not want any more."""
        _, frames = self._frames.pop(stream_id, (0, []))
        self._frame_bytes -= sum(len(part) for _, part in frames)

    def take(self) -> bytes:
        """The next message; the rest stays. Empty if nothing waits."""
        taken: list[bytes] = []
        size = 0
        while self._parts and size < MESSAGE_BYTES:
            size += len(self._parts[0])
            self._part_bytes -= len(self._parts[0])
            taken.append(self._parts.popleft())
        if self._part_bytes <= OUTBOX_BYTES:
            self.room.set()
        if not self._parts:
            taken += [live.gap(server_id, *missed) for server_id, missed in self._gaps.items()]
            self._gaps.clear()
            if size + self._frame_bytes <= MESSAGE_BYTES:  # nearly always, and it takes half the time
                for _, frames in self._frames.values():
                    for _, part in frames:
                        taken.append(part)
                self._frames.clear()
                self._frame_bytes = 0
            while self._frames and size < MESSAGE_BYTES:
                stream_id = next(iter(self._frames))
                _, frames = self._frames.pop(stream_id)
                taken += [part for _, part in frames]
                length = sum(len(part) for _, part in frames)
                size += length
                self._frame_bytes -= length
            if not self._frames:
                self._newest_only = False
                self.waiting = False
        return b"".join(taken)

    def _leave_out(self, server_id: int, frames: list[tuple[int, bytes]]) -> None:
        if not frames:
            return
        self.dropped += len(frames)
        self._frame_bytes -= sum(len(part) for _, part in frames)
        self.missed(server_id, frames[0][0], frames[-1][0])
