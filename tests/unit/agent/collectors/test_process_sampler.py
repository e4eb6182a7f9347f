"""CPU usage of processes, from given trees of /proc."""

from pathlib import Path

import pytest

from bongsu.agent.collectors.processes import ProcessSampler
from tests.support.agent_fakes import linux_only, write_process
from tests.support.clock import FakeClock


@linux_only
def test_processes_with_odd_names_and_reused_pids(tmp_path: Path) -> None:
    clock = FakeClock()
    sampler = ProcessSampler(str(tmp_path), monotonic=clock.monotonic)
    write_process(tmp_path, 1, "tmux: (1) x", 100, 5)
    write_process(tmp_path, 2, "runner", 1000, 5)
    (tmp_path / "3").mkdir()  # it ended between the listing and the reading
    sampler.sample()
    clock.advance(2)
    write_process(tmp_path, 1, "tmux: (1) x", 200, 5)
    write_process(tmp_path, 2, "other", 300, 999)  # another process with the same number
    seen = {process.pid: process for process in sampler.sample()}
    assert seen[1].name == "tmux: (1) x"
    assert seen[1].cpu_ratio == pytest.approx(0.5)  # 100 ticks = 1 s in 2 s
    assert seen[1].threads == 3
    assert seen[1].memory_bytes % 10 == 0
    assert seen[2].cpu_ratio == 0
    assert set(seen) == {1, 2}


@linux_only
def test_all_cpu_time_of_a_process_that_started_since_the_previous_sample_counts(tmp_path: Path) -> None:
    clock = FakeClock()
    # the machine started 1,000 s ago, and a second has 100 ticks
    boot = clock.now_ms() / 1000 - 1000
    sampler = ProcessSampler(
        str(tmp_path), monotonic=clock.monotonic, wall=lambda: clock.now_ms() / 1000, boot_time=lambda: boot
    )
    sampler.sample()
    write_process(tmp_path, 1, "there", 4000)
    assert [process.cpu_ratio for process in sampler.sample()] == [0]  # it is unknown how much of it is recent
    clock.advance(30)
    write_process(tmp_path, 2, "backup", 1500, started=101_000)
    write_process(tmp_path, 3, "shown now", 1500, started=99_000)
    seen = {process.pid: process for process in sampler.sample()}
    assert seen[2].cpu_ratio == pytest.approx(0.5)  # 15 s in 30 s
    assert seen[2].started_ms == round(boot + 1010) * 1000
    assert seen[3].cpu_ratio == 0
