"""The memory buffer."""

import pytest

from bongsu.agent.delivery.memory_buffer import MemoryBuffer
from tests.support.buffers import drain, fill
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_memory_is_bounded_as_well(clock: FakeClock) -> None:
    held = MemoryBuffer(max_bytes=160)
    fill(held, clock, 25)  # 16 bytes each
    assert held.dropped == 15
    batch = held.oldest(100, 1000)
    fill(held, clock, 3)  # three of the batch go to make room
    held.remove(batch)
    assert drain(held) == [25, 26, 27]
