"""The memory buffer."""

import pytest

from bongsu.agent.delivery.memory_buffer import MemoryBuffer
from tests.support.buffers import drain, fill
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_memory_is_bounded(clock: FakeClock) -> None:
    buffer = MemoryBuffer(max_bytes=160)
    fill(buffer, clock, 25)  # 16 bytes each
    assert buffer.dropped == 15
    batch = buffer.oldest(100, 1000)
    fill(buffer, clock, 3)  # three of the batch go to make room
    buffer.remove(batch)
    assert drain(buffer) == [25, 26, 27]
