"""A stream and the clients that watch it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from bongsu.core.samples import Frame
from bongsu.server.live.client import Client
from bongsu.server.live.streams import RECENT_MS, Stream

# A minute of frames: more are not looked for a second time.
MOST_TOLD = 60

_time = attrgetter("time_ms")


@dataclass(slots=True)
class Followed:
    """``idle_since``: since when nobody watches it, by the clock that never jumps; None: somebody does."""

    stream: Stream
    clients: dict[Client, None] = field(default_factory=dict)
    idle_since: float | None = None
    # Times of late frames that the clients know of.
    told: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_TOLD))

    def hand_on(self, frames: Sequence[Frame]) -> None:
        """Sends frames of the layout to the clients. Those that are late, replayed after an outage, are in the history;
        clients are told the range."""
        stream = self.stream
        since_ms = max(stream.newest_ms, max(frame.time_ms for frame in frames) - RECENT_MS)
        late = [frame.time_ms for frame in frames if frame.time_ms <= since_ms]
        if late:
            # A frame that comes again, or with which the stream began, is not missing.
            unsent = set(late).difference((time_ms for time_ms, _ in stream.recent), self.told)
            for client in self.clients if unsent else ():
                client.outbox.missed(stream.server_id, min(unsent), max(unsent))
            self.told.extend(sorted(unsent))
            frames = [frame for frame in frames if frame.time_ms > since_ms]
        for frame in sorted(frames, key=_time) if len(frames) > 1 else frames:
            if frame.time_ms > stream.newest_ms:
                part = stream.take(frame)
                for client in self.clients:
                    client.send(stream, frame.time_ms, part)
