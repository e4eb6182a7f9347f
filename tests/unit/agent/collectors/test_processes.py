"""Which processes are listed, from made-up trees of /proc."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.processes import ProcessesCollector, ProcessSampler
from tests.support.agent_fakes import fake_ps
from tests.support.clock import FakeClock

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def a_process(proc: Path, pid: int, name: str, ticks: int, started: int = 5, pages: int = 10) -> None:
    fields = ["S"] + ["0"] * 10 + [str(ticks), "0"] + ["0"] * 4 + ["3", "0", str(started), "0", str(pages)]
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")


@linux_only
def test_processes_with_odd_names_and_used_again_numbers(tmp_path: Path) -> None:
    clock = FakeClock()
    sampler = ProcessSampler(str(tmp_path), monotonic=clock.monotonic)
    a_process(tmp_path, 1, "tmux: (1) x", 100, 5)
    a_process(tmp_path, 2, "worker", 1000, 5)
    (tmp_path / "3").mkdir()  # it ended between the listing and the reading
    sampler.look()
    clock.advance(2)
    a_process(tmp_path, 1, "tmux: (1) x", 200, 5)
    a_process(tmp_path, 2, "other", 300, 999)  # another process with the same number
    seen = {one.pid: one for one in sampler.look()}
    assert seen[1].name == "tmux: (1) x"
    assert seen[1].cpu_ratio == pytest.approx(0.5)  # 100 ticks = 1 s in 2 s
    assert seen[1].threads == 3
    assert seen[1].memory_bytes % 10 == 0
    assert seen[2].cpu_ratio == 0
    assert set(seen) == {1, 2}


@linux_only
def test_all_the_time_of_a_process_that_started_since_the_last_look_counts(tmp_path: Path) -> None:
    clock = FakeClock()
    # the machine started 1,000 s ago, and a second has 100 ticks
    boot = clock.now_ms() / 1000 - 1000
    sampler = ProcessSampler(
        str(tmp_path), monotonic=clock.monotonic, wall=lambda: clock.now_ms() / 1000, boot=lambda: boot
    )
    sampler.look()
    a_process(tmp_path, 1, "there", 4000)
    assert [one.cpu_ratio for one in sampler.look()] == [0]  # nobody knows since when
    clock.advance(30)
    a_process(tmp_path, 2, "backup", 1500, started=101_000)
    a_process(tmp_path, 3, "shown now", 1500, started=99_000)
    seen = {one.pid: one for one in sampler.look()}
    assert seen[2].cpu_ratio == pytest.approx(0.5)  # 15 s in 30 s
    assert seen[2].started_ms == round(boot + 1010) * 1000
    assert seen[3].cpu_ratio == 0


@linux_only
def test_the_process_list_has_the_busiest_and_the_largest(tmp_path: Path) -> None:
    for pid in range(1, 41):
        a_process(tmp_path, pid, "kworker/1" if pid == 40 else f"p{pid}", 0, pages=pid)
    options = Options({"names": Filter(exclude=("kworker*",))}, {"top": 2}, proc=str(tmp_path))
    collector = ProcessesCollector(fake_ps(), options)
    assert list(collector.collect()) == []
    assert [one.name for one in collector.processes] == ["p39", "p38"]
    for pid, ticks in ((7, 50_000), (39, 90_000), (40, 99_000), (8, 10_000)):
        a_process(tmp_path, pid, "kworker/1" if pid == 40 else f"p{pid}", ticks, pages=pid)
    list(collector.collect())
    assert [one.name for one in collector.processes] == ["p39", "p7", "p38"]
    assert {one.threads for one in collector.processes} == {3}
    import pwd

    assert {one.user for one in collector.processes} == {pwd.getpwuid(os.getuid()).pw_name}


@linux_only
def test_names_that_no_wire_takes_and_users_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    a_process(tmp_path, 1, "x" * 100, 0)
    collector = ProcessesCollector(fake_ps(), Options(proc=str(tmp_path)))
    list(collector.collect())
    (one,) = collector.processes
    assert (one.name, one.user) == ("x" * 64, str(os.getuid()))


def test_this_process_is_on_the_list_on_every_system() -> None:
    collector = ProcessesCollector(psutil, Options({"names": Filter((psutil.Process().name(),))}, {"top": 50}))
    for _ in range(2):
        list(collector.collect())
    mine = next(one for one in collector.processes if one.pid == os.getpid())
    assert mine.user.rpartition("\\")[2] == psutil.Process().username().rpartition("\\")[2]
    assert mine.memory_bytes > 1_000_000
    assert mine.threads >= 1
    assert abs(mine.started_ms / 1000 - psutil.Process().create_time()) < 2.5
