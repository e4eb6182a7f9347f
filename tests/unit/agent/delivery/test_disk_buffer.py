"""The disk buffer loses nothing, invents nothing, and stays within its limits."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.agent.delivery.disk_buffer import DiskBuffer
from bongsu.agent.delivery.memory_buffer import MemoryBuffer
from bongsu.core.samples import Container, ContainerEvent, ContainerList, Frame, pack
from tests.support.agent_fakes import a_frame, a_layout, a_process_list
from tests.support.buffers import LAYOUT, drain, fill, open_buffer
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_frames_come_out_unchanged_and_oldest_first(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    frame = Frame(LAYOUT.id, clock.now_ms(), pack([1.5, float("inf")]))
    buffer.append(frame, LAYOUT)
    fill(buffer, clock, 250)
    batch = buffer.oldest(100, 1_000_000)
    assert batch.payloads[0] == (frame, LAYOUT)
    assert len(batch.payloads) == 100
    assert len(buffer) == 251
    assert drain(buffer) == [0, *range(250)]
    assert len(buffer) == 0
    assert buffer.size_bytes == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".segment"] == []


def test_a_batch_has_a_maximum_size_but_is_never_empty(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 10)
    assert len(buffer.oldest(100, 40).payloads) == 2  # 16 bytes of values each
    assert len(buffer.oldest(100, 1).payloads) == 1


def test_a_batch_that_was_not_removed_comes_again(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 3)
    assert buffer.oldest(2, 10_000).payloads == buffer.oldest(2, 10_000).payloads


def test_frames_can_be_appended_while_old_ones_are_read(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    other = a_layout("cpu_usage_ratio")
    fill(buffer, clock, 3)
    batch = buffer.oldest(2, 10_000)
    fill(buffer, clock, 2, other)
    buffer.remove(batch)
    batch = buffer.oldest(100, 10_000)
    assert [layout.id for _, layout in batch.payloads] == [LAYOUT.id, other.id, other.id]
    buffer.remove(batch)
    fill(buffer, clock, 1)
    assert drain(buffer) == [5]


def test_a_restarted_agent_continues_at_the_same_frame(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock, segment_bytes=4096)
    fill(buffer, clock, 300)
    buffer.remove(buffer.oldest(70, 1_000_000))
    # no close: as after kill -9
    reopened = open_buffer(tmp_path, clock, segment_bytes=4096)
    assert len(reopened) == 230
    fill(reopened, clock, 5)
    assert drain(reopened) == list(range(70, 305))


def test_a_cursor_never_outlives_its_segment(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 20)
    buffer.remove(buffer.oldest(10, 10_000))
    assert drain(buffer) == list(range(10, 20))
    for _ in range(3):
        buffer = open_buffer(tmp_path, clock)
        fill(buffer, clock, 10)
        buffer = open_buffer(tmp_path, clock)
        assert len(buffer) == 10
        assert len(drain(buffer)) == 10
        assert buffer.dropped == 0


def test_a_cursor_that_a_crash_left_behind_skips_nothing(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 20)
    buffer.remove(buffer.oldest(10, 10_000))
    cursor = (tmp_path / "cursor").read_bytes()
    drain(buffer)
    (tmp_path / "cursor").write_bytes(cursor)
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 15)
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 1)
    assert drain(buffer) == list(range(20, 36))


def test_a_cursor_of_the_first_version_is_ignored(tmp_path: Path, clock: FakeClock) -> None:
    """It could outlive its segment, whose number was then used again."""
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 20)
    content = struct.pack("<QQ", 1, buffer.oldest(5, 10_000).end)
    (tmp_path / "cursor").write_bytes(content + zlib.crc32(content).to_bytes(4, "little"))
    assert drain(open_buffer(tmp_path, clock)) == list(range(20))


def test_a_stale_cursor_repeats_frames_but_loses_none(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 20)
    buffer.remove(buffer.oldest(10, 10_000))
    (tmp_path / "cursor").write_bytes(b"rubbish")
    assert drain(open_buffer(tmp_path, clock)) == list(range(20))


@given(cut=st.integers(1, 200), flip=st.integers(0, 10_000))
def test_a_truncated_or_corrupt_record_is_detected(tmp_path_factory, cut: int, flip: int) -> None:
    folder = tmp_path_factory.mktemp("buffer")
    clock = FakeClock()
    buffer = open_buffer(folder, clock)
    fill(buffer, clock, 20)
    buffer.close()
    path = next(folder.glob("*.segment"))
    data = bytearray(path.read_bytes())[:-cut]
    data[flip % len(data)] ^= 0x40
    path.write_bytes(data)
    reopened = open_buffer(folder, clock)
    kept = drain(reopened)
    assert kept == list(range(len(kept)))  # a sound beginning, nothing invented
    assert len(kept) < 20


def test_writing_continues_after_a_truncated_record(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 5)
    buffer.close()
    path = next(tmp_path.glob("*.segment"))
    path.write_bytes(path.read_bytes()[:-3])
    reopened = open_buffer(tmp_path, clock)
    assert reopened.damaged == 1
    fill(reopened, clock, 2)
    assert drain(open_buffer(tmp_path, clock)) == [0, 1, 2, 3, 5, 6]


def test_corruption_while_the_agent_runs_is_counted(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock)
    fill(buffer, clock, 10)
    path = next(tmp_path.glob("*.segment"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert drain(buffer) == list(range(9))
    assert buffer.dropped == 1


def test_over_the_maximum_size_the_oldest_frames_are_dropped_and_counted(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock, max_bytes=16_384)
    fill(buffer, clock, 2000)
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.segment"))
    assert on_disk == buffer.size_bytes <= 16_384 + 64
    dropped = buffer.dropped
    kept = drain(buffer)
    assert kept == list(range(2000 - len(kept), 2000))
    assert dropped == 2000 - len(kept)


def test_frames_over_the_maximum_age_are_dropped_and_counted(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock, max_age_ms=100_000)
    fill(buffer, clock, 10)
    clock.advance(95)
    fill(buffer, clock, 1)
    assert drain(buffer) == [6, 7, 8, 9, 105]  # now is 106 s
    assert buffer.dropped == 6


def test_frames_over_the_maximum_age_are_counted_once_however_often_they_are_read(
    tmp_path: Path, clock: FakeClock
) -> None:
    buffer = open_buffer(tmp_path, clock, max_age_ms=100_000)
    fill(buffer, clock, 10)
    clock.advance(95)
    for _ in range(5):
        batch = buffer.oldest(100, 10_000)
    assert (len(batch.payloads), buffer.dropped) == (5, 0)
    buffer.remove(batch)
    assert (len(buffer), buffer.dropped) == (0, 5)


def test_a_segment_may_be_dropped_while_it_is_being_sent(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock, max_bytes=16_384)
    fill(buffer, clock, 10)
    batch = buffer.oldest(5, 10_000)
    fill(buffer, clock, 2000)
    buffer.remove(batch)
    kept = drain(buffer)
    assert kept == list(range(2010 - len(kept), 2010))


@pytest.mark.parametrize("on_disk", [True, False], ids=["disk", "memory"])
def test_process_lists_are_buffered_in_order_with_frames(tmp_path: Path, clock: FakeClock, on_disk: bool) -> None:
    buffer = open_buffer(tmp_path, clock) if on_disk else MemoryBuffer()
    sent = [a_process_list(clock.now_ms(), "상태", 'a"b'), a_frame(clock.now_ms()), a_process_list(clock.now_ms())]
    for item in sent:
        buffer.append(item, a_layout() if isinstance(item, Frame) else None)
    first = buffer.oldest(1, 1_000_000)
    assert first.payloads == [(sent[0], None)]
    buffer.remove(first)
    if on_disk:
        assert isinstance(buffer, DiskBuffer)
        buffer.close()
        buffer = open_buffer(tmp_path, clock)  # the cursor counts lists as well
    assert len(buffer) == 2
    assert buffer.oldest(10, 1_000_000).payloads == [(sent[1], a_layout()), (sent[2], None)]
    assert drain(buffer) == [0, 0]


def test_container_lists_are_buffered(tmp_path: Path, clock: FakeClock) -> None:
    sent = ContainerList(
        clock.now_ms(),
        [Container("0123456789ab", "웹", "nginx:1", cpu_ratio=0.25, finished_ms=clock.now_ms())],
        [ContainerEvent(clock.now_ms(), "exited", "0123456789ab", "웹", exit_code=137)],
        3,
    )
    open_buffer(tmp_path, clock).append(sent, None)
    assert open_buffer(tmp_path, clock).oldest(10, 1_000_000).payloads == [(sent, None)]


def test_process_lists_are_subject_to_the_limits_of_age_and_size(tmp_path: Path, clock: FakeClock) -> None:
    buffer = open_buffer(tmp_path, clock, max_age_ms=100_000)
    buffer.append(a_process_list(clock.now_ms(), "a"), None)
    clock.advance(101)
    buffer.append(a_process_list(clock.now_ms(), "a"), None)
    assert drain(buffer) == [101]
    assert buffer.dropped == 1
    memory = MemoryBuffer(max_bytes=10_000)
    for _ in range(50):
        memory.append(a_process_list(clock.now_ms(), "a", "b"), None)
    assert memory.size_bytes <= 10_000
    assert len(memory) + memory.dropped == 50
