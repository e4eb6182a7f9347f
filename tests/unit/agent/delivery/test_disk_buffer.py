"""The disk buffer loses nothing, invents nothing, and stays within its limits."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.agent.delivery.disk_buffer import DiskBuffer
from bongsu.agent.delivery.memory_buffer import MemoryBuffer
from bongsu.core.samples import Frame, pack
from tests.support.agent_fakes import a_frame, a_layout, a_process_list
from tests.support.buffers import LAYOUT, drain, fill, open_buffer
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_frames_come_out_as_they_went_in_oldest_first(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    frame = Frame(LAYOUT.id, clock.now_ms(), pack([1.5, float("inf")]))
    held.append(frame, LAYOUT)
    fill(held, clock, 250)
    batch = held.oldest(100, 1_000_000)
    assert batch.payloads[0] == (frame, LAYOUT)
    assert len(batch.payloads) == 100
    assert len(held) == 251
    assert drain(held) == [0, *range(250)]
    assert len(held) == 0
    assert held.size_bytes == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".segment"] == []


def test_a_batch_is_bounded_by_bytes_but_never_empty(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 10)
    assert len(held.oldest(100, 40).payloads) == 2  # 16 bytes of values each
    assert len(held.oldest(100, 1).payloads) == 1


def test_what_is_not_done_comes_again(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 3)
    assert held.oldest(2, 10_000).payloads == held.oldest(2, 10_000).payloads


def test_new_frames_may_come_while_old_ones_are_read(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    other = a_layout("cpu_usage_ratio")
    fill(held, clock, 3)
    batch = held.oldest(2, 10_000)
    fill(held, clock, 2, other)
    held.remove(batch)
    batch = held.oldest(100, 10_000)
    assert [layout.id for _, layout in batch.payloads] == [LAYOUT.id, other.id, other.id]
    held.remove(batch)
    fill(held, clock, 1)
    assert drain(held) == [5]


def test_a_new_process_goes_on_where_the_last_one_was(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock, segment_bytes=4096)
    fill(held, clock, 300)
    held.remove(held.oldest(70, 1_000_000))
    # no close: as after kill -9
    again = open_buffer(tmp_path, clock, segment_bytes=4096)
    assert len(again) == 230
    fill(again, clock, 5)
    assert drain(again) == list(range(70, 305))


def test_a_stale_cursor_repeats_but_loses_nothing(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 20)
    held.remove(held.oldest(10, 10_000))
    (tmp_path / "cursor").write_bytes(b"rubbish")
    assert drain(open_buffer(tmp_path, clock)) == list(range(20))


@given(cut=st.integers(1, 200), flip=st.integers(0, 10_000))
def test_a_torn_or_rotten_record_is_found(tmp_path_factory, cut: int, flip: int) -> None:
    folder = tmp_path_factory.mktemp("buffer")
    clock = FakeClock()
    held = open_buffer(folder, clock)
    fill(held, clock, 20)
    held.close()
    path = next(folder.glob("*.segment"))
    data = bytearray(path.read_bytes())[:-cut]
    data[flip % len(data)] ^= 0x40
    path.write_bytes(data)
    again = open_buffer(folder, clock)
    kept = drain(again)
    assert kept == list(range(len(kept)))  # a sound beginning, nothing invented
    assert len(kept) < 20


def test_writing_goes_on_behind_a_torn_record(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 5)
    held.close()
    path = next(tmp_path.glob("*.segment"))
    path.write_bytes(path.read_bytes()[:-3])
    again = open_buffer(tmp_path, clock)
    assert again.damaged == 1
    fill(again, clock, 2)
    assert drain(open_buffer(tmp_path, clock)) == [0, 1, 2, 3, 5, 6]


def test_rot_in_a_running_agent_is_counted(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 10)
    path = next(tmp_path.glob("*.segment"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert drain(held) == list(range(9))
    assert held.dropped == 1


def test_over_the_size_the_oldest_go_first_and_are_counted(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock, max_bytes=16_384)
    fill(held, clock, 2000)
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.segment"))
    assert on_disk == held.size_bytes <= 16_384 + 64
    dropped = held.dropped
    kept = drain(held)
    assert kept == list(range(2000 - len(kept), 2000))
    assert dropped == 2000 - len(kept)


def test_frames_older_than_the_age_are_dropped_and_counted(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock, max_age_ms=100_000)
    fill(held, clock, 10)
    clock.advance(95)
    fill(held, clock, 1)
    assert drain(held) == [6, 7, 8, 9, 105]  # now is 106 s
    assert held.dropped == 6


def test_dropping_what_is_being_sent_does_no_harm(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock, max_bytes=16_384)
    fill(held, clock, 10)
    batch = held.oldest(5, 10_000)
    fill(held, clock, 2000)
    held.remove(batch)
    kept = drain(held)
    assert kept == list(range(2010 - len(kept), 2010))


@pytest.mark.parametrize("on_disk", [True, False], ids=["disk", "memory"])
def test_process_lists_are_kept_between_the_frames(tmp_path: Path, clock: FakeClock, on_disk: bool) -> None:
    held = open_buffer(tmp_path, clock) if on_disk else MemoryBuffer()
    sent = [a_process_list(clock.now_ms(), "상태", 'a"b'), a_frame(clock.now_ms()), a_process_list(clock.now_ms())]
    for item in sent:
        held.append(item, a_layout() if isinstance(item, Frame) else None)
    first = held.oldest(1, 1_000_000)
    assert first.payloads == [(sent[0], None)]
    held.remove(first)
    if on_disk:
        assert isinstance(held, DiskBuffer)
        held.close()
        held = open_buffer(tmp_path, clock)  # the cursor counts lists as well
    assert len(held) == 2
    assert held.oldest(10, 1_000_000).payloads == [(sent[1], a_layout()), (sent[2], None)]
    assert drain(held) == [0, 0]


def test_old_process_lists_are_dropped_and_many_are_bounded(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock, max_age_ms=100_000)
    held.append(a_process_list(clock.now_ms(), "a"), None)
    clock.advance(101)
    held.append(a_process_list(clock.now_ms(), "a"), None)
    assert drain(held) == [101]
    assert held.dropped == 1
    memory = MemoryBuffer(max_bytes=10_000)
    for _ in range(50):
        memory.append(a_process_list(clock.now_ms(), "a", "b"), None)
    assert memory.size_bytes <= 10_000
    assert len(memory) + memory.dropped == 50
