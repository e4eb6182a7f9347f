"""The disk buffer: nothing lost, nothing made up, bounded."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.agent.delivery import disk_buffer as buffer
from bongsu.agent.delivery import segments
from bongsu.agent.delivery.backlog import Backlog, MemoryBuffer, lock
from bongsu.agent.delivery.disk_buffer import DiskBuffer
from bongsu.core.errors import ConfigError
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from tests.support.agent_fakes import FakeSay, a_frame, a_layout, a_process_list
from tests.support.clock import FakeClock

LAYOUT = a_layout("load_1m", "load_5m")
START_MS = FakeClock().now_ms()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


opened: dict[Path, DiskBuffer] = {}


def open_buffer(folder: Path, clock: FakeClock, **limits) -> DiskBuffer:
    """What had the folder before is dead: its files are closed, as the end of a process closes them."""
    before = opened.pop(folder, None)
    if before is not None and before._writing is not None:
        os.close(before._writing)
        before._writing = None
    limits = {"max_bytes": 10_000_000, "max_age_ms": 7 * 86_400_000, **limits}
    opened[folder] = DiskBuffer(str(folder), clock=clock, **limits)
    return opened[folder]


def drain(held, batch_frames: int = 100) -> list[int]:
    """Takes everything out; the time stamps, as seconds since the fake clock's start."""
    times = []
    while (batch := held.oldest(batch_frames, 1_000_000)).items:
        times += [(frame.time_ms - START_MS) // 1000 for frame, _ in batch.items]
        held.done(batch)
    return times


def fill(held, clock: FakeClock, count: int, layout: Layout = LAYOUT) -> None:
    for _ in range(count):
        held.append(a_frame(clock.now_ms(), layout), layout)
        clock.advance(1)


def test_frames_come_out_as_they_went_in_oldest_first(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    frame = Frame(LAYOUT.id, clock.now_ms(), pack([1.5, float("inf")]))
    held.append(frame, LAYOUT)
    fill(held, clock, 250)
    batch = held.oldest(100, 1_000_000)
    assert batch.items[0] == (frame, LAYOUT)
    assert len(batch.items) == 100
    assert len(held) == 251
    assert drain(held) == [0, *range(250)]
    assert len(held) == 0
    assert held.size_bytes == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".segment"] == []


def test_a_batch_is_bounded_by_bytes_but_never_empty(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 10)
    assert len(held.oldest(100, 40).items) == 2  # 16 bytes of values each
    assert len(held.oldest(100, 1).items) == 1


def test_what_is_not_done_comes_again(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 3)
    assert held.oldest(2, 10_000).items == held.oldest(2, 10_000).items


def test_new_frames_may_come_while_old_ones_are_read(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    other = a_layout("cpu_usage_ratio")
    fill(held, clock, 3)
    batch = held.oldest(2, 10_000)
    fill(held, clock, 2, other)
    held.done(batch)
    batch = held.oldest(100, 10_000)
    assert [layout.id for _, layout in batch.items] == [LAYOUT.id, other.id, other.id]
    held.done(batch)
    fill(held, clock, 1)
    assert drain(held) == [5]


def test_a_new_process_goes_on_where_the_last_one_was(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock, segment_bytes=4096)
    fill(held, clock, 300)
    held.done(held.oldest(70, 1_000_000))
    # no close: as after kill -9
    again = open_buffer(tmp_path, clock, segment_bytes=4096)
    assert len(again) == 230
    fill(again, clock, 5)
    assert drain(again) == list(range(70, 305))


def test_a_stale_cursor_repeats_but_loses_nothing(tmp_path: Path, clock: FakeClock) -> None:
    held = open_buffer(tmp_path, clock)
    fill(held, clock, 20)
    held.done(held.oldest(10, 10_000))
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
    held.done(batch)
    kept = drain(held)
    assert kept == list(range(2010 - len(kept), 2010))


def test_killed_while_writing_without_losing_what_was_appended(tmp_path: Path) -> None:
    """A real process, killed with -9 in the middle of its work, again and again."""
    program = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[2])
        from tests.support.agent_fakes import a_frame
        from tests.support.clock import FakeClock
        from tests.unit.agent.delivery.test_disk_buffer import LAYOUT, open_buffer
        from pathlib import Path
        clock = FakeClock()
        held = open_buffer(Path(sys.argv[1]), clock, segment_bytes=4096)
        clock.advance(int(sys.argv[3]))
        while True:
            held.append(a_frame(clock.now_ms(), LAYOUT), LAYOUT)
            clock.advance(1)
            sys.stdout.write(f"{clock.now_ms()}\\n")
            sys.stdout.flush()
    """)
    written = 0
    for round_number in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), os.getcwd(), str(written)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(100 + 37 * round_number):
            process.stdout.readline()
        process.kill()
        rest = process.stdout.read().decode().split()
        process.wait()
        process.stdout.close()
        # what the process said before it died was appended; one more record may have been as well
        acknowledged = written + 100 + 37 * round_number + len([line for line in rest if len(line) == 13])
        held = open_buffer(tmp_path, FakeClock())
        assert acknowledged <= len(held) <= acknowledged + 1
        written = len(held)
    assert drain(open_buffer(tmp_path, FakeClock())) == list(range(written))


def backlog(folder: Path, clock: FakeClock, say: FakeSay, **limits) -> Backlog:
    return Backlog(str(folder), max_bytes=1_000_000, max_age_ms=86_400_000, clock=clock, say=say, **limits)


def test_a_full_disk_means_memory_and_is_said_once(tmp_path: Path, clock: FakeClock, monkeypatch) -> None:
    say = FakeSay()
    held = backlog(tmp_path / "buffer", clock, say)
    fill(held, clock, 5)
    real_write = os.write
    full = True

    def write(descriptor: int, data: bytes) -> int:
        # a full disk takes the beginning of a record, then nothing
        if full:
            return real_write(descriptor, data[:7])
        return real_write(descriptor, data)

    monkeypatch.setattr(buffer.os, "write", write)
    fill(held, clock, 70)
    assert len(held) == 75
    assert not held.on_disk
    assert say.lines == [
        "The buffer cannot be written to disk: No space left on device. Unsent frames are kept in memory, "
        "at most 8.00 MiB."
    ]
    full = False
    clock.advance(60)
    fill(held, clock, 1)
    assert held.on_disk
    assert say.lines[1:] == ["The buffer is written to disk again."]
    # all of it is on disk, in order
    held.close()
    assert drain(backlog(tmp_path / "buffer", clock, say)) == [*range(75), 135]


def test_memory_is_bounded_as_well(clock: FakeClock) -> None:
    held = MemoryBuffer(max_bytes=160)
    fill(held, clock, 25)  # 16 bytes each
    assert held.dropped == 15
    batch = held.oldest(100, 1000)
    fill(held, clock, 3)  # three of the batch go to make room
    held.done(batch)
    assert drain(held) == [25, 26, 27]


def test_a_folder_that_cannot_be_made_does_not_stop_the_agent(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "buffer").write_text("in the way")
    say = FakeSay()
    held = backlog(tmp_path / "buffer", clock, say)
    fill(held, clock, 3)
    assert drain(held) == [0, 1, 2]
    assert "cannot be written to disk" in say.lines[0]


@pytest.mark.parametrize("on_disk", [True, False], ids=["disk", "memory"])
def test_process_lists_are_kept_between_the_frames(tmp_path: Path, clock: FakeClock, on_disk: bool) -> None:
    held = open_buffer(tmp_path, clock) if on_disk else MemoryBuffer()
    sent = [a_process_list(clock.now_ms(), "상태", 'a"b'), a_frame(clock.now_ms()), a_process_list(clock.now_ms())]
    for item in sent:
        held.append(item, a_layout() if isinstance(item, Frame) else None)
    first = held.oldest(1, 1_000_000)
    assert first.items == [(sent[0], None)]
    held.done(first)
    if on_disk:
        assert isinstance(held, DiskBuffer)
        held.close()
        held = open_buffer(tmp_path, clock)  # the cursor counts lists as well
    assert len(held) == 2
    assert held.oldest(10, 1_000_000).items == [(sent[1], a_layout()), (sent[2], None)]
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


def test_at_the_end_memory_goes_to_disk_if_it_can(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "buffer").write_text("in the way")
    held = backlog(tmp_path / "buffer", clock, FakeSay())
    fill(held, clock, 3)
    (tmp_path / "buffer").unlink()
    held.close()
    assert drain(backlog(tmp_path / "buffer", clock, FakeSay())) == [0, 1, 2]


def test_layouts_survive_the_file() -> None:
    layout = Layout.of((Series("a_total", (("x", "y\n"), ("z", "é")), "bytes", Kind.COUNTER), Series("b")))
    ((content, _),) = segments.records(segments.layout_record(layout))
    assert segments.read_layout(content) == layout


def test_a_data_directory_belongs_to_one_agent(tmp_path: Path) -> None:
    held = lock(str(tmp_path))
    with pytest.raises(ConfigError, match="Another agent uses"):
        lock(str(tmp_path))
    os.close(held)
    os.close(lock(str(tmp_path)))
