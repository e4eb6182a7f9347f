"""Opens, fills and empties buffers of unsent frames."""

import os
from pathlib import Path

from bongsu.agent.delivery.disk_buffer import DiskBuffer
from bongsu.core.series import Layout
from tests.support.agent_fakes import a_frame, a_layout
from tests.support.clock import FakeClock

LAYOUT = a_layout("load_1m", "load_5m")
START_MS = FakeClock().now_ms()

_opened: dict[Path, DiskBuffer] = {}


def open_buffer(folder: Path, clock: FakeClock, **limits) -> DiskBuffer:
    """Opens the buffer as after a crash: a buffer that had this folder only loses its open file."""
    previous = _opened.pop(folder, None)
    if previous is not None and previous._write_descriptor is not None:
        os.close(previous._write_descriptor)
        previous._write_descriptor = None
    limits = {"max_bytes": 10_000_000, "max_age_ms": 7 * 86_400_000, **limits}
    _opened[folder] = DiskBuffer(str(folder), clock=clock, **limits)
    return _opened[folder]


def drain(buffer, batch_size: int = 100) -> list[int]:
    """Takes everything out. Returns the time stamps, in seconds since the fake clock's start."""
    times = []
    while (batch := buffer.oldest(batch_size, 1_000_000)).payloads:
        times += [(payload.time_ms - START_MS) // 1000 for payload, _ in batch.payloads]
        buffer.remove(batch)
    return times


def fill(buffer, clock: FakeClock, count: int, layout: Layout = LAYOUT) -> None:
    """Appends ``count`` frames, one a second."""
    for _ in range(count):
        buffer.append(a_frame(clock.now_ms(), layout), layout)
        clock.advance(1)
