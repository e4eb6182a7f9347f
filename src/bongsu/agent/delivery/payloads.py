"""What the agent sends and buffers: frames and process lists."""

from dataclasses import dataclass, field
from typing import NamedTuple

from bongsu.core.samples import Frame, ProcessList
from bongsu.core.series import Layout

Payload = Frame | ProcessList
# Memory that a process of a list takes, roughly. On the wire it takes 40 bytes.
_PROCESS_BYTES = 300


class QueuedPayload(NamedTuple):
    """A payload that waits to be sent. A frame comes with its layout; a process list has none."""

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


def size_of(payload: Payload) -> int:
    """Approximate size in bytes, for limits."""
    return len(payload.values) if isinstance(payload, Frame) else _PROCESS_BYTES * len(payload.processes)
