"""What the agent sends and buffers: frames, and lists of processes and containers."""

from dataclasses import dataclass, field
from typing import NamedTuple

from bongsu.core.samples import ContainerList, Frame, ProcessList
from bongsu.core.series import Layout
from bongsu.wire.limits import MAX_LAYOUTS

Payload = Frame | ProcessList | ContainerList
# Memory that a process of a list takes, roughly. On the wire it takes 40 bytes.
_PROCESS_BYTES = 300
_CONTAINER_BYTES = 1_000
_EVENT_BYTES = 400


class QueuedPayload(NamedTuple):
    """A payload that waits to be sent. A frame comes with its layout; a list has none."""

    payload: Payload
    layout: Layout | None


@dataclass(slots=True)
class BufferedBatch:
    """The oldest payloads of a buffer.

    ``segment`` is the number of the disk segment, or 0 for memory. ``end`` is the position after the last payload.
    ``consumed`` counts the payloads up to there, including the ``skipped`` ones, which are too old or damaged.
    """

    payloads: list[QueuedPayload] = field(default_factory=list)
    segment: int = 0
    end: int = 0
    consumed: int = 0
    skipped: int = 0


class BatchLimit:
    """Decides how many payloads a push carries. The API server takes ``MAX_LAYOUTS`` different layouts in one."""

    def __init__(self, max_payloads: int, max_bytes: int | None = None) -> None:
        self._max_payloads = max_payloads
        self._max_bytes = max_bytes
        self._payloads = 0
        self._bytes = 0
        self._layouts: set[int] = set()

    def takes(self, payload: Payload) -> bool:
        """Whether the push can carry this payload as well; the first one always. If so, counts it."""
        size = size_of(payload)
        layouts = self._layouts | {payload.layout_id} if isinstance(payload, Frame) else self._layouts
        if self._payloads and (
            self._payloads >= self._max_payloads
            or len(layouts) > MAX_LAYOUTS
            or (self._max_bytes is not None and self._bytes + size > self._max_bytes)
        ):
            return False
        self._payloads += 1
        self._bytes += size
        self._layouts = layouts
        return True


def size_of(payload: Payload) -> int:
    """Approximate size in bytes, for limits."""
    if isinstance(payload, Frame):
        return len(payload.values)
    if isinstance(payload, ProcessList):
        return _PROCESS_BYTES * len(payload.processes)
    return _CONTAINER_BYTES * len(payload.containers) + _EVENT_BYTES * len(payload.events)
