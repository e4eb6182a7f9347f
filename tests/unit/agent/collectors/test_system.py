"""System-wide values from given files of /proc."""

from pathlib import Path

from bongsu.agent.collectors.system import SystemCollector
from tests.support.agent_fakes import by_series, fake_ps


def system_ps():
    return fake_ps(boot_time=1000.0, users=["a", "b"])


def test_the_system_as_a_whole(proc) -> None:
    options = proc(
        stat="cpu 1 2\nprocesses 5000\nprocs_running 3\nprocs_blocked 1\n",
        loadavg="0.50 0.40 0.30 2/345 6789\n",
        sys__fs__file__nr="",
    )
    (Path(options.proc) / "sys/fs/file-nr").write_text("1234\t0\t99999\n")
    (Path(options.proc) / "pressure").mkdir()
    (Path(options.proc) / "pressure/cpu").write_text(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    (Path(options.proc) / "pressure/io").write_text(
        "some avg10=1.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"
    )
    seen = by_series(SystemCollector(system_ps(), options, now=lambda: 4600.0).collect())
    assert seen == {
        "system_uptime_seconds": 3600,
        "system_users": 2,
        "processes_started_total": 5000,
        "processes_running": 3,
        "processes_blocked": 1,
        "system_threads": 345,
        "system_file_handles": 1234,
        "system_file_handles_limit": 99999,
        "pressure_some_seconds_total[cpu]": 2.5,
        "pressure_some_seconds_total[io]": 3,
        "pressure_full_seconds_total[io]": 1,
    }


def test_a_system_without_proc_has_the_other_values(proc) -> None:
    seen = by_series(SystemCollector(system_ps(), proc(), now=lambda: 4600.0).collect())
    assert seen == {"system_uptime_seconds": 3600, "system_users": 2}
