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


def backlog(folder: Path, clock: FakeClock, log: FakeLog, **limits) -> Backlog:
    return Backlog(str(folder), max_bytes=1_000_000, max_age_ms=86_400_000, clock=clock, log=log, **limits)


def test_a_full_disk_means_memory_and_is_said_once(tmp_path: Path, clock: FakeClock, monkeypatch) -> None:
    log = FakeLog()
    held = backlog(tmp_path / "buffer", clock, log)
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
    assert log.lines == [
        "The buffer cannot be written to disk: No space left on device. Unsent frames are kept in memory, "
        "at most 8.00 MiB."
    ]
    full = False
    clock.advance(60)
    fill(held, clock, 1)
    assert held.on_disk
    assert log.lines[1:] == ["The buffer is written to disk again."]
    # all of it is on disk, in order
    held.close()
    assert drain(backlog(tmp_path / "buffer", clock, log)) == [*range(75), 135]


def test_a_folder_that_cannot_be_made_does_not_stop_the_agent(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "buffer").write_text("in the way")
    log = FakeLog()
    held = backlog(tmp_path / "buffer", clock, log)
    fill(held, clock, 3)
    assert drain(held) == [0, 1, 2]
    assert "cannot be written to disk" in log.lines[0]


def test_at_the_end_memory_goes_to_disk_if_it_can(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "buffer").write_text("in the way")
    held = backlog(tmp_path / "buffer", clock, FakeLog())
    fill(held, clock, 3)
    (tmp_path / "buffer").unlink()
    held.close()
    assert drain(backlog(tmp_path / "buffer", clock, FakeLog())) == [0, 1, 2]
