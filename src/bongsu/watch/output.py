"""What shows the stream: implemented by ``lines`` and ``screen``."""

from typing import Protocol

from bongsu.core.events import Event
from bongsu.watch.frames import StreamFrame
from bongsu.wire.live import State


class Output(Protocol):
    """Told of everything as it happens, in the event loop; must not block for long."""

    def frame(self, frame: StreamFrame) -> None:
        """A frame has arrived."""

    def state(self, state: State) -> None:
        """What the server is doing."""

    def selected(self, streams: int) -> None:
        """How many streams the subscription has at present; 0: nothing that it selects is sent."""

    def gap(self, start_ms: int, end_ms: int) -> None:
        """Frames of this range exist that are not shown; ``end_ms`` is inclusive."""

    def event(self, event: Event) -> None:
        """Something has happened to the server."""

    def behind(self, present: bool) -> None:
        """Whether the API server cannot see at present what others take in."""

    def connected(self) -> None:
        """The stream has begun, or goes on."""

    def waiting(self, seconds: float, reason: str) -> None:
        """The connection is lost; the next attempt comes after so many seconds."""
