"""The backlog moves between disk and memory."""

import os
from pathlib import Path

import pytest

from bongsu.agent.delivery import disk_buffer as buffer
from bongsu.agent.delivery.backlog import Backlog
from tests.support.agent_fakes import FakeLog
from tests.support.buffers import drain, fill
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def open_backlog(folder: Path, clock: FakeClock, log: FakeLog, **limits) -> Backlog:
    return Backlog(str(folder), max_bytes=1_000_000, max_age_ms=86_400_000, clock=clock, log=log, **limits)


def test_with_a_full_disk_frames_stay_in_memory_and_it_is_logged_once(
    tmp_path: Path, clock: FakeClock, monkeypatch
) -> None:
    log = FakeLog()
    backlog = open_backlog(tmp_path / "buffer", clock, log)
    fill(backlog, clock, 5)
    real_write = os.write
    full = True

    def write(descriptor: int, data: bytes) -> int:
        # a full disk takes the beginning of a record, then nothing
        if full:
            return real_write(descriptor, data[:7])
        return real_write(descriptor, data)

    monkeypatch.setattr(buffer.os, "write", write)
    fill(backlog, clock, 70)
    assert len(backlog) == 75
    assert not backlog.on_disk
    assert log.lines == [
        "The buffer cannot be written to disk: No space left on device. Unsent frames are kept in memory, "
        "at most 8.00 MiB."
    ]
    full = False
    clock.advance(60)
    fill(backlog, clock, 1)
    assert backlog.on_disk
    assert log.lines[1:] == ["The buffer is written to disk again."]
    # all of it is on disk, in order
    backlog.close()
    assert drain(open_backlog(tmp_path / "buffer", clock, log)) == [*range(75), 135]


def test_a_folder_that_cannot_be_created_does_not_stop_the_agent(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "buffer").write_text("in the way")
    log = FakeLog()
    backlog = open_backlog(tmp_path / "buffer", clock, log)
    fill(backlog, clock, 3)
    assert drain(backlog) == [0, 1, 2]
    assert "cannot be written to disk" in log.lines[0]


def test_close_moves_memory_to_disk(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "buffer").write_text("in the way")
    backlog = open_backlog(tmp_path / "buffer", clock, FakeLog())
    fill(backlog, clock, 3)
    (tmp_path / "buffer").unlink()
    backlog.close()
    assert drain(open_backlog(tmp_path / "buffer", clock, FakeLog())) == [0, 1, 2]
