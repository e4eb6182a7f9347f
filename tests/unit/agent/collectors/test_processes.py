"""Which processes are listed, from given trees of /proc."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.processes import ProcessesCollector
from tests.support.agent_fakes import fake_ps, write_process

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux_only
def test_the_list_has_the_busiest_and_the_largest_processes(tmp_path: Path) -> None:
    for pid in range(1, 41):
        write_process(tmp_path, pid, "kworker/1" if pid == 40 else f"p{pid}", 0, pages=pid)
    options = Options({"names": Filter(exclude=("kworker*",))}, {"top": 2}, proc=str(tmp_path))
    collector = ProcessesCollector(fake_ps(), options)
    assert list(collector.collect()) == []
    assert [process.name for process in collector.processes] == ["p39", "p38"]
    for pid, ticks in ((7, 50_000), (39, 90_000), (40, 99_000), (8, 10_000)):
        write_process(tmp_path, pid, "kworker/1" if pid == 40 else f"p{pid}", ticks, pages=pid)
    list(collector.collect())
    assert [process.name for process in collector.processes] == ["p39", "p7", "p38"]
    assert {process.threads for process in collector.processes} == {3}
    import pwd

    assert {process.user for process in collector.processes} == {pwd.getpwuid(os.getuid()).pw_name}


@linux_only
def test_names_that_are_too_long_and_users_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    write_process(tmp_path, 1, "x" * 100, 0)
    collector = ProcessesCollector(fake_ps(), Options(proc=str(tmp_path)))
    list(collector.collect())
    (process,) = collector.processes
    assert (process.name, process.user) == ("x" * 64, str(os.getuid()))


def test_this_process_is_listed_on_every_system() -> None:
    collector = ProcessesCollector(psutil, Options({"names": Filter((psutil.Process().name(),))}, {"top": 50}))
    for _ in range(2):
        list(collector.collect())
    mine = next(process for process in collector.processes if process.pid == os.getpid())
    assert mine.user.rpartition("\\")[2] == psutil.Process().username().rpartition("\\")[2]
    assert mine.memory_bytes > 1_000_000
    assert mine.threads >= 1
    assert abs(mine.started_ms / 1000 - psutil.Process().create_time()) < 2.5
